// All photos of the folder: measured in the background, filtered by what the photo gate finds.
import { make } from "/tables.js";

const $ = (id) => document.getElementById(id);

export class Survey {
  #ask; #say; #stands = new Map(); #timer = null;

  constructor(ask, say) {
    this.#ask = ask;
    this.#say = say;
    $("measure-all").addEventListener("click", () => this.#toggle());
    $("which").addEventListener("change", () => this.filter());
  }

  // What was begun before the page was opened, or in another window.
  async begin() { this.#follow(await this.#ask("/api/survey")); }

  // The list has changed.
  show(count) {
    $("survey").hidden = count < 2;
    this.filter();
  }

  async #toggle() {
    this.#say();
    try {
      if (this.#timer) { this.#follow(await this.#ask(`/api/survey?since=${this.#stands.size}`, { method: "DELETE" })); return; }
      this.#stands.clear();
      this.#follow(await this.#ask("/api/survey", { method: "POST" }));
    } catch (error) { this.#say(error.message); }
  }

  #follow(told) {
    for (const stand of told.stands) this.#stands.set(stand.photo, stand);
    $("measure-all").textContent = told.stopping ? "Stopping…" : told.running ? "Stop" : "Measure all";
    $("measure-all").disabled = told.stopping;
    $("far").hidden = !told.running;
    $("far").max = told.total;
    $("far").value = told.done;
    $("table").hidden = !told.table;
    if (told.error) this.#say(told.error);
    this.#choices();
    this.filter();
    clearTimeout(this.#timer);
    this.#timer = told.running ? setTimeout(async () => {
      try { this.#follow(await this.#ask(`/api/survey?since=${this.#stands.size}`)); } catch (error) { this.#timer = null; this.#say(error.message); }
    }, 500) : null;
  }

  #choices() {
    const counts = new Map();
    const count = (name) => counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const stand of this.#stands.values()) {
      if (stand.status !== "ok") count("failed");
      else if (!stand.gate.length) count("nothing to object to");
      for (const check of stand.gate) count(check);
    }
    const chosen = $("which").value;
    $("which").replaceChildren(make("option", { value: "" }, `all photos (${$("list").children.length})`),
      ...[...counts].sort().map(([name, n]) => make("option", { value: name }, `${name.replaceAll("_", " ")} (${n})`)));
    $("which").value = counts.has(chosen) ? chosen : "";
    $("which").hidden = !this.#stands.size;
  }

  filter() {
    const which = $("which").value;
    let shown = 0;
    for (const item of $("list").children) {
      const stand = this.#stands.get(item.dataset.photo);
      const words = !stand ? "" : stand.status !== "ok" ? stand.reason : stand.gate.map((name) => name.replaceAll("_", " ")).join(", ");
      let told = item.querySelector(".stand");
      if (stand && !told) item.firstChild.append(told = make("span", { class: "stand" }));
      if (told) { told.textContent = stand ? (words ? `${stand.status === "ok" ? "gate: " : ""}${words}` : "✓") : ""; told.classList.toggle("bad", Boolean(words)); }
      const fits = !which || Boolean(which === "failed" ? stand?.status === "failed" : which === "nothing to object to" ? stand?.status === "ok" && !words : stand?.gate.includes(which));
      item.hidden = !fits;
      shown += fits;
    }
    const all = $("list").children.length;
    $("stands").textContent = this.#stands.size ? `${this.#stands.size} of ${all} measured${which ? `; ${shown} shown` : ""}` : "";
  }
}
