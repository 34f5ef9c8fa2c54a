// Measurements, traits, the photo gate and the form of the person, as rows that follow what the server says.
const REGIONS = ["eye", "brow", "nose", "mouth", "jaw", "face"];

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// A row whose line is shown on the face while it is pointed at, or while its button has the focus.
export function hinting(row, button, show) {
  for (const [of, on, off] of [[row, "mouseenter", "mouseleave"], [button, "focus", "blur"]]) {
    of.addEventListener(on, () => show(true));
    of.addEventListener(off, () => show(false));
  }
  return row;
}

export const plain = (words) => make("button", { type: "button", class: "plain" }, words);

function score(of) {
  if (!of) return [];
  return [signed(of.z), of.lo === null ? "" : make("small", {}, `${signed(of.lo)} to ${signed(of.hi)}`)];
}

const SVG = "http://www.w3.org/2000/svg", SPAN = 6; // SD that a plot reaches to each side

// One z with its interval on a line; within 2 SD is shaded.
function plotted() {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ class: "zbar", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const along = (z) => (50 + (50 * Math.min(Math.max(z, -SPAN), SPAN)) / SPAN).toFixed(2);
  const part = (name, attributes) => { const made = document.createElementNS(SVG, name); for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value); svg.append(made); return made; };
  part("rect", { x: along(-2), width: along(2) - along(-2), height: 12 });
  part("path", { class: "zero", d: "M50 0V12" });
  const line = part("path", {}), dot = part("path", { class: "dot" });
  return { svg, at(of) {
    dot.setAttribute("d", of ? `M${along(of.z)} 6h0` : "");
    line.setAttribute("d", of && of.lo !== null ? `M${along(of.lo)} 6H${along(of.hi)}` : "");
  } };
}

const signed = (z) => (Math.abs(z) < 0.05 ? "0.0" : `${z < 0 ? "−" : "+"}${Math.abs(z).toFixed(1)}`);

function scored(score) {
  if (!score) return "";
  const within = score.lo === null ? "" : ` (${signed(score.lo)} to ${signed(score.hi)})`;
  return `${signed(score.z)}${within}`;
}

export class Measurements extends EventTarget {
  #root; #rows = new Map(); #chosen = null; #words; #beyond; #plot; #table; #compared; #interval;

  constructor(root) {
    super();
    this.#root = root;
    this.#words = make("input", { type: "search", "aria-label": "Find a measurement", placeholder: "Find…" });
    this.#beyond = make("input", { type: "checkbox" });
    this.#plot = make("input", { type: "checkbox", id: "as-plot" });
    this.#plot.addEventListener("change", () => this.#filter());
    this.#compared = make("p", { class: "soft" });
    this.#interval = make("p", { class: "soft" });
    this.#words.addEventListener("input", () => this.#filter());
    this.#beyond.addEventListener("change", () => this.#filter());
  }

  get chosen() { return this.#chosen; }

  show(doc) {
    if (this.#chosen) this.#mark(this.#chosen, false);
    this.#chosen = null;
    if (this.#rows.size === doc.measurements.length && doc.measurements.every((m) => this.#rows.has(m.id))) { this.update(doc); return; }
    this.#rows.clear();
    const body = make("tbody");
    for (const region of REGIONS) {
      const of = doc.measurements.filter((m) => m.region === region);
      if (!of.length) continue;
      body.append(make("tr", { class: "region" }, make("th", { colSpan: 3, scope: "rowgroup" }, region[0].toUpperCase() + region.slice(1))));
      for (const m of of) body.append(this.#row(m));
    }
    const ticks = [-4, -2, 0, 2, 4].map((z) => { const tick = make("i", {}, `${z < 0 ? "−" : ""}${Math.abs(z)}`); tick.style.left = `${50 + (50 * z) / SPAN}%`; return tick; });
    const heads = [["measurement", ""], ["value", "n value"], [make("div", { class: "ticks" }, ...ticks), "bar"], ["z", "n"]];
    const head = make("thead", {}, make("tr", {}, ...heads.map(([words, kind]) => make("th", { scope: "col", class: kind }, words))));
    this.#table = make("table", { class: "measures" }, head, body);
    this.#root.replaceChildren(
      make("div", { class: "filters" }, this.#words, make("label", {}, this.#beyond, " beyond 2 SD only"), make("label", {}, this.#plot, " z plot")),
      this.#compared, make("p", { class: "soft" }, "Small figures, and lines of the plot, are 95 % intervals. Choose a measurement to see its line."), make("div", { class: "rows", tabIndex: 0, role: "region", "aria-label": "Table of measurements" }, this.#table), this.#interval,
    );
    this.update(doc);
  }

  #row(m) {
    const button = make("button", { type: "button", "aria-pressed": "false" }, m.name);
    const hand = make("span", { class: "hand-mark" }), why = make("span", { class: "why" }), refs = make("span", { class: "why refs" });
    const cells = { value: make("td", { class: "n value" }), bar: make("td", { class: "bar" }), z: make("td", { class: "n z" }) };
    const row = make("tr", { class: "measure", id: `m-${m.id}` }, make("th", { scope: "row" }, button, hand, why, refs), ...Object.values(cells));
    button.addEventListener("click", () => this.choose(this.#chosen === m.id ? null : m.id));
    row.addEventListener("mouseenter", () => this.#hint(m.id));
    row.addEventListener("mouseleave", () => this.#hint(null));
    this.#rows.set(m.id, { row, button, hand, why, refs, cells, plot: null, z: null, shown: "", region: m.region });
    return row;
  }

  update(doc) {
    for (const m of doc.measurements) {
      const held = this.#rows.get(m.id), { row, hand, why, refs, cells } = held, now = JSON.stringify(m);
      if (held.shown === now) continue;
      held.shown = now;
      held.z = m.z[0];
      held.plot?.at(held.z);
      const without = m.value === "–";
      cells.value.replaceChildren(without ? "–" : `${m.value} ${m.unit}`.trim(), ...[m.interval, m.mm].filter(Boolean).map((words) => make("small", {}, words)));
      cells.z.replaceChildren(...score(m.z[0]));
      refs.textContent = cells.z.title = m.z.map((z) => `${z.reference}${z.how ? ` (${z.how})` : ""}: z ${scored(z)}`).join("\n");
      hand.textContent = m.hand ? " by hand" : "";
      why.textContent = m.reason;
      why.title = m.reason;
      row.classList.toggle("beyond", m.beyond);
      row.classList.toggle("without", without);
      row.classList.toggle("scored", m.z.length > 0);
    }
    this.#compared.textContent = doc.compared.length ? `z-scores: ${doc.compared.join("; ")}` : "z-scores need sex and age: enter them under “Person”.";
    this.#interval.textContent = doc.interval;
    this.#filter();
  }

  #filter() {
    this.#table.classList.toggle("plot", this.#plot.checked);
    if (this.#plot.checked) for (const held of this.#rows.values()) {
      if (held.plot || !held.z) continue;
      held.plot = plotted();
      held.cells.bar.append(held.plot.svg);
      held.plot.at(held.z);
    }
    const words = this.#words.value.trim().toLowerCase(), seen = new Set();
    for (const [id, { row, button, region }] of this.#rows) {
      const shown = (!words || `${button.textContent} ${id}`.toLowerCase().includes(words)) && (!this.#beyond.checked || row.classList.contains("beyond")) && (!this.#plot.checked || row.classList.contains("scored"));
      row.hidden = !shown;
      if (shown) seen.add(region);
    }
    this.#root.querySelectorAll("tr.region").forEach((row) => { row.hidden = !seen.has(row.textContent.toLowerCase()); });
  }

  #hint(id) { this.dispatchEvent(new CustomEvent("show", { detail: id ?? this.#chosen })); }

  choose(id, { scroll = false } = {}) {
    if (this.#chosen) this.#mark(this.#chosen, false);
    this.#chosen = id;
    if (id) {
      this.#mark(id, true);
      if (scroll) {
        this.#words.value = "";
        this.#beyond.checked = false;
        this.#filter();
        this.#rows.get(id).row.scrollIntoView({ block: "center" });
      }
    }
    this.dispatchEvent(new CustomEvent("show", { detail: id }));
  }

  #mark(id, chosen) {
    const { row, button } = this.#rows.get(id);
    row.classList.toggle("chosen", chosen);
    button.setAttribute("aria-pressed", String(chosen));
  }
}

const ANSWERS = [["", "not seen"], ["yes", "yes"], ["no", "no"]];

// A term that the eye must judge, with the answer that somebody has given.
function asked(of, status, answer) {
  const choice = make("select", { "aria-label": `${of.label}: seen by eye?` }, ...ANSWERS.map(([value, words]) => make("option", { value }, words)));
  choice.value = of.by_eye ? (status === "present" ? "yes" : "no") : "";
  choice.addEventListener("change", () => answer(of, choice.value));
  return make("label", { class: "eye" }, "by eye: ", choice);
}

function trait(of, status, answer) {
  const evidence = [...of.evidence, ...of.supports.map((s) => `also ${s}`)];
  return make("div", { class: "trait" },
    make("strong", {}, of.label), " ", make("span", { class: "soft" }, of.hpo_id),
    of.asked ? asked(of, status, answer) : "",
    ...evidence.map((line) => make("small", {}, line)), of.reason ? make("small", {}, of.reason) : "", of.rule ? make("small", {}, `rule: ${of.rule.replaceAll("<=", "≤").replaceAll(">=", "≥")}`) : "");
}

// Leaves of many terms those that have the words.
function finder(rows) {
  const words = make("input", { type: "search", "aria-label": "Find a term", placeholder: "Find…" });
  words.addEventListener("input", () => { for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(words.value.trim().toLowerCase()); });
  return words;
}

export function traits(root, told, save, missing) {
  const seen = told.lists.flatMap(({ status, traits: of }) => of.filter((one) => one.by_eye).map((one) => [`${one.hpo_id}:${one.side}`, status === "present" ? "yes" : "no"]));
  const answer = (of, value) => {
    const now = new Map(seen).set(`${of.hpo_id}:${of.side}`, value);
    save({ observed: [...now].filter(([, one]) => one).map(([term, one]) => `${term.replace(":mid", "")}=${one}`).join("; ") });
  };
  root.replaceChildren();
  if (told.why) root.append(make("p", { class: "bad" }, told.why));
  if (missing.length) root.append(make("p", {}, `Most traits are called from z-scores, which need ${missing.join(" and ")}: enter ${missing.length > 1 ? "them" : "it"} under “Person”.`));
  for (const note of told.notes.filter((words) => !missing.some((name) => words.startsWith(`${name} is missing`)))) root.append(make("p", { class: "soft" }, note));
  const unseen = (one) => one.asked && !one.by_eye, eye = told.lists.find(({ status }) => status === "not assessed")?.traits.filter(unseen) ?? [];
  const lists = told.lists.map((one) => (one.status === "not assessed" ? { ...one, traits: one.traits.filter((of) => !unseen(of)) } : one));
  lists.splice(lists.findIndex(({ status }) => status === "inconclusive"), 0, { status: "eye", title: "To be judged by eye", traits: eye });
  for (const { status, title, traits: of } of lists) {
    const open = ["present", "borderline", "look at"].includes(status);
    if (!of.length && (status === "look at" || status === "eye")) continue;
    const rows = of.length ? of.map((one) => trait(one, status, answer)) : [make("p", { class: "soft" }, "None.")];
    root.append(make("details", { open }, make("summary", {}, `${title} (${of.length})`), status === "eye" ? finder(rows) : "", ...rows));
  }
}

export function hidden(doc) {
  const points = doc.points.filter((point) => point.hidden).length;
  return points ? `${points === 1 ? "One point is" : `${points} points are`} hidden by something (drawn dark); what is taken there is not measured.` : "";
}

export function gate(root, doc) {
  const failed = doc.gate.filter((check) => !check.ok);
  const checks = (of) => make("ul", { class: "plain" }, ...of.map((check) => make("li", {}, make("span", { class: check.ok ? "" : "bad" }, `${check.ok ? "✓" : "✗"} ${check.name} ${check.value}`), ` (limit ${check.limit})`, check.ok ? "" : `: ${check.advice}`)));
  root.replaceChildren(
    make("h3", {}, failed.length ? "What the photo gate finds" : "The photo gate finds nothing to object to"), checks(failed),
    make("p", {}, `Yaw ${doc.pose.yaw}, pitch ${doc.pose.pitch}, roll ${doc.pose.roll}. ${doc.width} × ${doc.height} pixels. ${doc.distance}`),
    ...[hidden(doc), ...doc.notes].filter(Boolean).map((note) => make("p", {}, note)),
    make("details", {}, make("summary", {}, `Checks that it passes (${doc.gate.length - failed.length})`), checks(doc.gate.filter((check) => check.ok))),
  );
}

const FIELDS = [
  ["sex", "Sex", ["", "female", "male"], ""],
  ["age", "Age", null, "8 (completed years), 8.4, 18m, 3w, 10d"],
  ["gestation", "Gestation", null, "31w or 31+4; counts below two years"],
  ["ancestry", "Ancestry", null, "as the person or family states it"],
  ["head_circumference", "Head circumference, cm", null, ""],
  ["height", "Height, cm", null, ""],
  ["weight", "Weight, kg", null, ""],
  ["distance", "Camera distance", null, "60 (cm), or lens=26mm"],
  ["scale", "Scale", null, "ipd=62 (mm), sticker=20, iris or mm-per-px=0.21; or by a known distance below"],
  ["patient", "Patient", null, "a code, the same for all photos of one person"],
  ["taken", "Date of the photo", null, "2026-03-04; photos of one person stand in this order"],
];

export function person(root, doc, save, mark) {
  const form = make("form", { class: "person" });
  for (const [name, label, choices, hint] of FIELDS) {
    const field = choices
      ? make("select", { id: `person-${name}`, name }, ...choices.map((value) => make("option", { value }, value || "not stated")))
      : make("input", { id: `person-${name}`, name, autocomplete: "off", spellcheck: false });
    if (hint) field.setAttribute("aria-describedby", `hint-${name}`);
    field.value = doc.person[name];
    field.addEventListener("change", () => save({ [name]: field.value }));
    form.append(make("label", { for: `person-${name}` }, label), field);
    if (hint) form.append(make("small", { id: `hint-${name}` }, hint));
    if (name === "scale") form.append(make("small", { id: "scale-words", "aria-live": "polite" }));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  root.replaceChildren(form, make("div", { class: "growth" }), known(doc, (scale) => { form.elements.scale.value = scale; save({ scale }); }), sticker(mark), make("p", { class: "soft" }, "Written into cohort.csv in the folder at once. Nothing is guessed from the face."));
}

// Sizes on their growth charts, which come as pictures.
export function growth(root, told) {
  for (const old of root.querySelectorAll("img")) URL.revokeObjectURL(old.src);
  root.replaceChildren(...told.notes.map((words) => make("p", { class: "bad" }, words)), ...told.charts.map(({ name, words, alt, svg }) => make("figure", {},
    svg ? make("img", { alt, src: URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })) }) : "", make("figcaption", {}, `${name} ${words}`))));
}

// A scale from the distance of two points that somebody has measured.
function known(doc, save) {
  const points = () => [make("option", { value: "" }, "point"), ...doc.points.map((point) => make("option", { value: point.code }, `${point.code} · ${point.name}`))];
  const from = make("select", { "aria-label": "From point" }, ...points()), to = make("select", { "aria-label": "To point" }, ...points());
  const mm = make("input", { type: "number", min: "1", max: "400", step: "any", "aria-label": "Millimetres between them" });
  const button = make("button", { type: "button" }, "Set the scale");
  button.addEventListener("click", () => {
    const [a, b] = [from, to].map((choice) => doc.now().find((point) => point.code === choice.value));
    const far = a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
    if (far < 5 || !(mm.valueAsNumber > 0)) { (far < 5 ? from : mm).focus(); return; }
    const scale = mm.valueAsNumber / far; // each end is placed to about a pixel
    save(`mm-per-px=${scale.toPrecision(5)}±${((scale * Math.SQRT2) / far).toPrecision(2)}`);
  });
  return make("fieldset", { class: "known" }, make("legend", {}, "A known distance"), from, " to ", to, " is ", mm, " mm ", button);
}

// A scale from a sticker that is clicked on the photo.
function sticker(mark) {
  const mm = make("input", { type: "number", min: "4", max: "60", step: "any", value: "20", id: "sticker-mm", "aria-label": "Diameter or side of the sticker, millimetres" });
  const button = make("button", { type: "button", id: "mark-sticker" }, "Mark it on the photo");
  button.addEventListener("click", () => { if (mm.reportValidity() && mm.value) mark(mm.valueAsNumber); });
  return make("fieldset", { class: "known" }, make("legend", {}, "A sticker"), mm, " mm wide ", button);
}

// What the form has come to: the scale as it is taken, or why it is not.
export function scaled(root, doc) {
  const words = root.querySelector("#scale-words");
  if (!words) return;
  words.textContent = doc.scale.words || doc.scale.why;
  words.classList.toggle("bad", Boolean(doc.scale.why));
  root.querySelector("#person-scale").value = doc.person.scale;
}

const KEPT = [
  ["clinical", "Clinical report", "findings, growth, photo and methods on one page of A4; print it for a PDF"],
  ["report", "Report of the measurements", "every measurement, to read or print"],
  ["traits", "Traits with their evidence", "to read or print"],
  ["phenopacket", "Phenopacket", "GA4GH v2, JSON, for other programs"],
  ["table", "Table of the measurements", "CSV, for a spreadsheet or R"],
  ["landmarks", "Landmark file", "where the points are, JSON, for anthropo’s commands (--landmarks)"],
];

export function keep(root, doc, save) {
  root.replaceChildren(make("div", { class: "kept" }, ...KEPT.filter(([kind]) => kind !== "landmarks" || !doc.video).flatMap(([kind, name, what]) => {
    const button = make("button", { type: "button", "aria-label": `Keep in the folder: ${name}` }, "Keep in the folder");
    button.addEventListener("click", () => save(kind));
    return [make("p", {}, make("a", { href: `/api/photos/${doc.id}/results/${kind}`, target: "_blank", rel: "noopener" }, name), make("small", {}, what)), button];
  })));
}
