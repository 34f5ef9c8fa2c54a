// What a model says of the photo: ranked labels, what speaks for each, and where in the face.
import { hinting, make, plain } from "/tables.js";

export class ModelPanel extends EventTarget {
  #root; #ask; #say; #models = []; #choice; #answer; #heat; #asked = 0;

  constructor(root, ask, say) {
    super();
    this.#root = root;
    this.#ask = ask;
    this.#say = say;
    this.#choice = make("select", { id: "model-choice" });
    this.#answer = make("div", {});
    this.#choice.addEventListener("change", () => this.ask(this.doc));
  }

  set models(listed) {
    if (JSON.stringify(listed) === JSON.stringify(this.#models)) return;
    this.#models = listed;
    const chosen = this.#choice.value;
    this.#choice.replaceChildren(...listed.map((model) => make("option", { value: model.id }, model.name)));
    if (listed.some((model) => model.id === chosen)) this.#choice.value = chosen;
  }

  async ask(doc) {
    this.doc = doc;
    if (!this.#models.length) {
      this.#root.replaceChildren(make("p", {}, "No model is here. Put one (NAME.anthropo, made by anthropo train) into the folder, or start the workbench with --model."));
      return;
    }
    if (!this.#choice.isConnected) this.#root.replaceChildren(make("label", { for: "model-choice" }, "Model "), this.#choice, this.#answer);
    const asked = ++this.#asked, at = `/api/photos/${doc.id}/models/${this.#choice.value}`;
    this.#root.setAttribute("aria-busy", "true");
    if (!this.#answer.hasChildNodes() || this.shown !== at) this.#answer.replaceChildren(make("p", { class: "soft" }, "The model reads the photo…"));
    try {
      const told = await this.#ask(`${at}/answer`);
      if (asked === this.#asked) this.#show(told, at);
    } catch (error) {
      if (asked === this.#asked) this.#answer.replaceChildren(make("p", { class: "bad" }, error.message));
    }
    if (asked === this.#asked) this.#root.removeAttribute("aria-busy");
  }

  // While a point is moved: what is measured counts at once, where the model looks it does when the point is let go.
  async follow(doc) {
    if (!this.#models.length || this.doc?.id !== doc.id || this.shown !== `/api/photos/${doc.id}/models/${this.#choice.value}`) return;
    const asked = this.#asked, at = this.shown;
    try {
      const told = await this.#ask(`${at}/following`);
      if (asked === this.#asked) this.#show({ ...told, words: ["Measurements follow the point; what the model sees in the face’s regions follows when it is let go.", ...told.words] }, at);
    } catch { /* the answer comes when the point is let go */ }
  }

  #show(told, at) {
    const opened = [...this.#answer.querySelectorAll("details")].map((one) => one.open);
    this.shown = at;
    if (told.voided) { this.#answer.replaceChildren(make("p", { class: "bad" }, told.voided)); return; }
    const head = make("thead", {}, make("tr", {}, ...["label", "probability", "log-odds"].map((t, i) => make("th", { scope: "col", class: i ? "n" : "" }, t))));
    const rows = told.ranked.map((one) => make("tr", {}, make("th", { scope: "row" }, one.label, one.how === "matched" ? make("span", { class: "why" }, "by its nearest patient") : ""), make("td", { class: "n" }, one.probability), make("td", { class: "n" }, one.log_odds)));
    const heat = make("div", { class: "heat" });
    if (told.heat) {
      const button = make("button", { type: "button" }, "Where in the face (takes some seconds)");
      button.addEventListener("click", () => this.#draw(heat, at));
      heat.append(button);
    }
    this.#answer.replaceChildren(
      told.decision ? make("p", {}, "Decision: ", make("strong", {}, told.decision)) : "",
      make("table", {}, head, make("tbody", {}, ...rows)),
      ...told.words.map((words) => make("p", { class: "soft" }, words)),
      ...told.labels.map((label, i) => this.#label(label, i === 0)),
      told.changes.length ? make("h3", {}, "What would change the decision") : "",
      ...told.changes.map((words) => make("p", {}, words)),
      heat,
      told.page ? make("p", {}, make("a", { href: `${at}/explanation`, target: "_blank", rel: "noopener" }, "The whole explanation"), " as a page, with heatmaps and typical faces of the labels") : "",
    );
    this.#answer.querySelectorAll("details").forEach((one, i) => { one.open = opened[i] ?? one.open; });
  }

  #label(label, open) {
    const most = Math.max(...label.bars.map((bar) => Math.abs(bar.value_log_odds))) || 1;
    const rows = label.bars.map((bar) => {
      const size = make("span", { class: `size ${bar.value_log_odds < 0 ? "against" : "for"}${bar.pale ? " pale" : ""}` });
      size.style.width = `${(50 * Math.abs(bar.value_log_odds)) / most}%`;
      const name = bar.measurement ? plain(bar.name) : bar.name;
      const row = make("tr", {}, make("th", { scope: "row" }, name, bar.value ? make("span", { class: "why" }, bar.value) : ""), make("td", { class: "axis" }, size), make("td", { class: "n" }, bar.words, bar.range ? make("small", {}, bar.range) : ""));
      return bar.measurement ? hinting(row, name, (shown) => this.dispatchEvent(new CustomEvent("show", { detail: shown ? bar.measurement : null }))) : row;
    });
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "what"), make("th", { scope: "col" }, "against, for"), make("th", { scope: "col", class: "n" }, "log-odds")));
    return make("details", { open }, make("summary", {}, `${label.label} ${label.log_odds}`), make("p", { class: "soft" }, label.against), make("table", { class: "bars" }, head, make("tbody", {}, ...rows)));
  }

  #draw(heat, at) {
    const before = [...heat.children], picture = make("img", { alt: "Heatmap: red speaks for the label, blue against it" });
    const stop = make("button", { type: "button" }, "Stop waiting"), words = make("p", { class: "soft", role: "status" }, "Looking where in the face it comes from…");
    const begun = performance.now(), clock = setInterval(() => { words.textContent = `Looking where in the face it comes from… ${Math.round((performance.now() - begun) / 1000)} s`; if (!words.isConnected) clearInterval(clock); }, 1000);
    heat.replaceChildren(words, make("progress", { "aria-label": "Heatmap" }), stop);
    stop.addEventListener("click", () => { picture.removeAttribute("src"); heat.replaceChildren(...before); before[0]?.focus(); });
    picture.addEventListener("load", () => stop.isConnected && heat.replaceChildren(picture, make("p", { class: "soft" }, "Red speaks for the label, blue against it. The page with everything says how far to trust it.")));
    picture.addEventListener("error", async () => {
      if (!stop.isConnected) return; // nobody waits
      heat.replaceChildren();
      try { await this.#ask(`${at}/heat`); } catch (error) { heat.replaceChildren(make("p", { class: "bad" }, error.message)); }
    });
    picture.src = `${at}/heat?at=${Date.now()}`;
  }
}
