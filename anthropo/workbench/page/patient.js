// All photos of one person: another one beside the first, pooled values, and what changed between two.
import { FaceView } from "/face.js";
import { hinting, make, plain } from "/tables.js";

const SVG = "http://www.w3.org/2000/svg";

const named = (photo) => (photo.taken ? `${photo.name}, ${photo.taken}` : photo.name);

export class PatientPanel extends EventTarget {
  #root; #ask; #open; #face; #asked = 0; #beside = null; #other = null;

  // `others` gives the photos of the folder, `join` says of some of them whose they are.
  constructor(root, ask, open, face, others, join) {
    super();
    this.others = others;
    this.join = join;
    this.#root = root;
    this.#ask = ask;
    this.#open = open;
    this.#face = face;
    face.addEventListener("choose", ({ detail }) => { if (this.#beside?.chosen !== detail) this.#beside?.choose(detail, { quiet: true }); });
  }

  async ask(doc) {
    this.doc = doc;
    if (!doc.person.patient) {
      this.#root.replaceChildren(this.#joining());
      return;
    }
    const asked = ++this.#asked;
    this.#root.setAttribute("aria-busy", "true");
    try {
      const told = await this.#ask(`/api/photos/${doc.id}/together`);
      if (asked === this.#asked) this.#show(told);
    } catch (error) {
      if (asked === this.#asked) this.#root.replaceChildren(make("p", { class: "bad" }, error.message));
    }
    if (asked === this.#asked) this.#root.removeAttribute("aria-busy");
  }

  // Of a photo of which nobody has said whose it is.
  #joining() {
    const others = this.others().filter((photo) => photo.id !== this.doc.id);
    const other = make("select", { id: "join-photo" }, ...others.map((photo) => make("option", { value: photo.id }, photo.patient ? `${photo.name} (${photo.patient})` : photo.name)));
    const code = make("input", { id: "join-code", autocomplete: "off", maxLength: 200 }), button = make("button", { type: "button" }, "Put them together");
    const known = () => { code.value = others.find((photo) => photo.id === other.value)?.patient ?? ""; };
    other.addEventListener("change", known);
    known();
    button.addEventListener("click", () => { if (code.value.trim()) this.join([other.value, this.doc.id], code.value.trim()); else code.focus(); });
    const form = make("div", { class: "known" }, make("label", { for: "join-photo" }, "Another photo of this person"), other, make("label", { for: "join-code" }, "Patient code"), code, button);
    return make("div", {}, make("p", {}, "Photos of one person have the same patient code. They stand side by side here, pooled, with what changed between them."), others.length ? form : make("p", {}, "Add another photo of this person first."));
  }

  #show(told) {
    const others = told.photos.filter((photo) => photo.id !== this.doc.id);
    const parts = [make("p", {}, `Patient ${told.patient}: ${told.photos.length} photos.`), ...told.left_out.map((words) => make("p", { class: "bad" }, words)), ...told.notes.map((words) => make("p", { class: "soft" }, words))];
    if (!others.length) { this.#root.replaceChildren(...parts, make("p", { class: "soft" }, "No other photo has this code.")); return; }
    const choice = make("select", { id: "beside-choice" }, ...others.map((photo) => make("option", { value: photo.id }, named(photo))));
    if (others.some((photo) => photo.id === this.#other)) choice.value = this.#other;
    const between = [], stage = make("div", { class: "beside" }), changes = make("div", { "aria-live": "polite" });
    const button = (words, work) => { const made = make("button", { type: "button" }, words); made.addEventListener("click", work); return made; };
    choice.addEventListener("change", () => { this.#other = choice.value; changes.replaceChildren(); between.forEach((name) => name()); this.#draw(stage, choice.value); });
    this.#root.replaceChildren(
      ...parts, make("label", { for: "beside-choice" }, "Beside it "), choice, " ", button("Open it", () => this.#open(choice.value)), stage,
      make("div", { class: "choices" },
        ...[false, true].map((back) => {
          const pair = () => { const both = told.photos.filter((photo) => photo.id === choice.value || photo.id === this.doc.id); return back ? both.reverse() : both; }; // by their dates
          const made = button("", () => this.#compare(changes, ...pair().map((photo) => photo.id)));
          between.push(() => { made.textContent = `What changed from ${pair().map((photo) => photo.taken || photo.name).join(" to ")}`; });
          return made;
        })),
      changes, make("p", {}, make("a", { href: `/api/photos/${this.doc.id}/together/clinical`, target: "_blank", rel: "noopener" }, told.pooled < told.photos.length ? "Clinical report of the photos of this age" : "Clinical report of all photos together"), " on one page of A4"), this.#table(told),
    );
    this.#other = choice.value;
    between.forEach((name) => name());
    this.#draw(stage, choice.value);
  }

  async #draw(stage, id) {
    this.#beside = null;
    try {
      const doc = await this.#ask(`/api/photos/${id}`);
      if (this.#other !== id || !stage.isConnected) return;
      const [svg, lens] = [0, 1].map(() => document.createElementNS(SVG, "svg"));
      svg.setAttribute("class", "other");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `${doc.name} with its landmarks`);
      stage.replaceChildren(svg);
      this.#beside = new FaceView(svg, lens, true);
      this.#beside.show(doc, `/api/photos/${id}/picture`);
      this.#beside.addEventListener("choose", ({ detail }) => this.#face.choose(detail));
      if (this.#face.chosen) this.#beside.choose(this.#face.chosen, { quiet: true });
    } catch (error) { stage.replaceChildren(make("p", { class: "bad" }, error.message)); }
  }

  async #lines(id) { // of a measurement, on both faces
    this.dispatchEvent(new CustomEvent("show", { detail: id }));
    const beside = this.#beside;
    if (!beside) return;
    if (!id) { beside.lines([]); return; }
    try { const marks = await this.#ask(`/api/photos/${this.#other}/lines/${id}`); if (beside === this.#beside) beside.lines(marks); } catch { beside.lines([]); }
  }

  #row(one, ...cells) {
    const name = plain(one.name);
    return hinting(make("tr", {}, make("th", { scope: "row" }, name), ...cells), name, (shown) => this.#lines(shown ? one.id : null));
  }

  async #compare(root, before, after) {
    root.replaceChildren(make("p", { class: "soft" }, "Comparing…"));
    const at = `/api/photos/${before}/change/${after}`;
    try {
      const told = await this.#ask(`${at}/rows`);
      const head = () => make("thead", {}, make("tr", {}, ...["measurement", "before", "after", "difference"].map((t, i) => make("th", { scope: "col", class: i ? "n" : "" }, t))));
      const row = (one) => this.#row(one, make("td", { class: "n" }, one.before), make("td", { class: "n" }, `${one.after} ${one.unit}`), make("td", { class: "n" }, one.difference, make("small", {}, one.interval), make("small", {}, `q ${one.q}`)));
      root.replaceChildren(
        make("h3", {}, told.summary), ...told.remarks.map((words) => make("p", { class: "soft" }, words)),
        ...told.groups.filter((group) => group.rows.length).map((group) => make("details", { open: true }, make("summary", {}, `${group.name} (${group.rows.length})`), make("table", {}, head(), make("tbody", {}, ...group.rows.map(row))))),
        make("p", {}, make("a", { href: `${at}/page`, target: "_blank", rel: "noopener" }, "All of it"), " as a page with both faces. Changed is beyond what photos of one state differ by; moved is beyond what photos of a still face do."),
      );
    } catch (error) { root.replaceChildren(make("p", { class: "bad" }, error.message)); }
  }

  #table(told) {
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "measurement"), make("th", { scope: "col", class: "n" }, "pooled"), ...told.photos.map((photo) => make("th", { scope: "col", class: "n" }, photo.name, photo.taken ? make("small", {}, photo.taken) : ""))));
    const rows = told.rows.map((one) => this.#row(one, make("td", { class: "n" }, `${one.pooled} ${one.unit}`, make("small", {}, one.interval), one.z ? make("small", {}, `z ${one.z}`) : ""), ...one.values.map(({ value, z }) => make("td", { class: "n" }, value, z ? make("small", {}, `z ${z}`) : ""))));
    return make("details", { open: true }, make("summary", {}, "All photos together"), make("div", { class: "rows", tabIndex: 0, role: "region", "aria-label": "Pooled measurements" }, make("table", { class: "pooled" }, head, make("tbody", {}, ...rows))));
  }
}
