// The photo with its landmarks: zoom, pan, drag, keyboard. It knows nothing of the server.
const SVG = "http://www.w3.org/2000/svg";
const REACH = 16; // CSS pixels around a point that take hold of it
const CLOSED = new Set(["polygon", "outline", "ring"]);

function element(name, attributes = {}, parent = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

export class FaceView extends EventTarget {
  #svg; #magnifier; #layers = {}; #points = new Map(); #chosen = null; #view = null; #wish = null; #doc = null;
  #pointers = new Map(); #grip = null; #ellipses = false; #lens = null; #finest = 0; #still = false; #marking = false; #cross = null; #edge = null;

  // With `still`, points can be looked at and chosen, and not moved.
  constructor(svg, magnifier, still = false) {
    super();
    this.#svg = svg;
    this.#still = still;
    this.#magnifier = magnifier;
    for (const name of ["image", "faces", "all", "lines", "rings", "dots", "names", "cross"]) this.#layers[name] = element("g", { class: name }, svg);
    this.#lens = element("g", {}, magnifier);
    svg.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 400), this.#at(e)); }, { passive: false });
    svg.addEventListener("pointerdown", (e) => this.#down(e));
    svg.addEventListener("pointermove", (e) => this.#move(e));
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (e) => this.#up(e));
    svg.addEventListener("keydown", (e) => this.#key(e));
    new ResizeObserver(() => this.#doc && this.#look(this.#wish)).observe(svg);
  }

  get chosen() { return this.#chosen; }
  get dragging() { return this.#grip?.kind === "point"; }

  show(doc, address) {
    this.#doc = doc;
    this.#finest = 0;
    this.#layers.image.replaceChildren();
    this.#lens.replaceChildren();
    this.address = address;
    this.#picture("preview", [0, 0, doc.width, doc.height]);
    for (const name of ["all", "lines", "rings", "dots", "names", "cross"]) this.#layers[name].replaceChildren();
    this.#unmark();
    this.#points.clear();
    for (const point of doc.points) {
      const ring = element("ellipse", { class: "ring", hidden: "" }, this.#layers.rings);
      const dot = element("circle", { class: "dot" }, this.#layers.dots);
      element("title", {}, dot).textContent = `${point.code}, ${point.name}`;
      this.#points.set(point.code, { point, ring, dot });
    }
    this.#chosen = null;
    this.faces(this.#still || doc.video ? [] : doc.faces);
    this.update(doc);
    this.fit();
  }

  // New numbers of the same photo. While points move faster than these come, they stay where `hand` has them.
  update(doc, hand = null) {
    this.#doc = doc;
    for (const point of doc.points) {
      const [x, y] = hand ? (hand.get(point.code) ?? point.found) : [point.x, point.y];
      this.#points.get(point.code).point = { ...point, x, y, moved: hand ? hand.has(point.code) : point.moved };
    }
    this.#draw();
  }

  place(code) { const { point } = this.#points.get(code); return [point.x, point.y]; }
  point(code) { return this.#points.get(code).point; }
  set ellipses(shown) { this.#ellipses = shown; this.#draw(); }

  choose(code, { quiet = false } = {}) {
    this.#chosen = code;
    this.#draw();
    if (!quiet) this.dispatchEvent(new CustomEvent("choose", { detail: code }));
  }

  // ------------------------------------------------------------------------------------ looking

  // The others of several faces, each with a box that chooses it.
  faces(found) {
    const others = found.filter((one) => !one.measured);
    this.#layers.faces.replaceChildren();
    for (const one of others) {
      const [x, y, x2, y2] = one.box, words = `Face ${found.indexOf(one) + 1} of ${found.length}, the largest first: measure it`;
      const group = element("g", { class: "other-face", role: "button", tabindex: 0, "aria-label": words }, this.#layers.faces);
      for (const kind of ["under", "frame"]) element("rect", { class: kind, x, y, width: x2 - x, height: y2 - y }, group);
      element("title", {}, group).textContent = words;
      const text = element("text", { class: "name", "text-anchor": "middle" }, group);
      text.textContent = String(found.indexOf(one) + 1);
      Object.assign(group.dataset, { at: one.at, x: (x + x2) / 2, y: y2 });
      group.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); this.#pick(group); } else if (e.key === "Escape") { this.#svg.focus(); this.fit(); this.dispatchEvent(new CustomEvent("unmarked")); } });
    }
    this.#draw();
    return [...this.#layers.faces.children];
  }

  #pick(group) { this.dispatchEvent(new CustomEvent("face", { detail: group.dataset.at })); }

  whole() { this.#look({ x: 0, y: 0, w: this.#doc.width, h: this.#doc.height }); }

  fit() {
    const [left, top, right, bottom] = this.#doc.box;
    const margin = 0.3 * (right - left);
    this.#look({ x: left - margin, y: top - margin, w: right - left + 2 * margin, h: bottom - top + 2 * margin });
  }

  zoom(factor, at = null) {
    const v = this.#view;
    at ??= [v.x + v.w / 2, v.y + v.h / 2];
    const most = 4 * Math.max(this.#doc.width, this.#doc.height);
    factor = Math.min(factor, v.w / 8);
    factor = Math.max(factor, v.w / most);
    this.#look({ x: at[0] - (at[0] - v.x) / factor, y: at[1] - (at[1] - v.y) / factor, w: v.w / factor, h: v.h / factor });
  }

  #look(view) {
    const { clientWidth, clientHeight } = this.#svg;
    if (!clientWidth || !view) return;
    this.#wish = view; // which another shape of the element shows as well
    const shape = clientWidth / clientHeight; // the view has the element's shape, so that pixels are square
    const middle = [view.x + view.w / 2, view.y + view.h / 2];
    const w = Math.max(view.w, view.h * shape), h = w / shape;
    this.#view = { x: middle[0] - w / 2, y: middle[1] - h / 2, w, h };
    this.#svg.setAttribute("viewBox", `${this.#view.x} ${this.#view.y} ${w} ${h}`);
    this.#sharpen();
    this.#draw();
  }

  #picture(size, [x, y, width, height]) {
    for (const parent of [this.#layers.image, this.#lens])
      element("image", { href: `${this.address}?size=${size}`, x: x - 0.5, y: y - 0.5, width, height, preserveAspectRatio: "none" }, parent);
  }

  // The face, and then the whole photo, as finely as they are looked at.
  #sharpen(closely = false) {
    const { width, height, close, preview } = this.#doc, v = this.#view;
    const seen = this.#scale / (window.devicePixelRatio || 1); // photo pixels to one of the screen
    const part = Math.max(1, Math.max(close[2] ?? 0, close[3] ?? 0) / 1400);
    const within = close.length && v.x >= close[0] && v.y >= close[1] && v.x + v.w <= close[0] + close[2] && v.y + v.h <= close[1] + close[3];
    if (close.length && this.#finest < 1 && (closely || seen < 1.3 * preview)) { this.#finest = 1; this.#picture("close", close); }
    if (this.#finest < 2 && preview > 1 && seen < (within ? 0.5 * part : 0.6 * preview)) { this.#finest = 2; this.#picture("full", [0, 0, width, height]); }
  }

  get #scale() { return this.#view.w / this.#svg.clientWidth; } // photo pixels to a CSS pixel

  #at(event) {
    const box = this.#svg.getBoundingClientRect();
    return [this.#view.x + (event.clientX - box.left) * this.#scale, this.#view.y + (event.clientY - box.top) * this.#scale];
  }

  #draw() {
    if (!this.#view || !this.#svg.clientWidth) return; // not shown; shown again it is drawn
    const k = this.#scale;
    for (const [code, { point, ring, dot }] of this.#points) {
      const chosen = code === this.#chosen;
      dot.setAttribute("cx", point.x);
      dot.setAttribute("cy", point.y);
      dot.setAttribute("r", (chosen ? 5.5 : 3.6) * k);
      dot.setAttribute("class", ["dot", point.moved && "hand", point.hidden && "off", chosen && "chosen"].filter(Boolean).join(" "));
      const shown = this.#ellipses || chosen;
      ring.toggleAttribute("hidden", !shown);
      if (!shown) continue;
      const [long, short, turn] = point.ellipse;
      for (const [name, value] of Object.entries({ cx: point.x, cy: point.y, rx: long, ry: short })) ring.setAttribute(name, value);
      ring.setAttribute("transform", `rotate(${turn} ${point.x} ${point.y})`);
    }
    for (const { dataset: { x, y }, lastChild } of this.#layers.faces.children) lastChild.setAttribute("transform", `translate(${x} ${y - 6 * k}) scale(${k})`);
    this.#layers.names.replaceChildren();
    if (this.#chosen) {
      const { point } = this.#points.get(this.#chosen);
      const text = element("text", { class: "name", "text-anchor": "middle", transform: `translate(${point.x} ${point.y - 10 * k}) scale(${k})` }, this.#layers.names);
      text.textContent = point.label;
    }
    this.#magnify();
  }

  #magnify() {
    this.#magnifier.toggleAttribute("hidden", !this.dragging);
    if (!this.dragging) return;
    const { point } = this.#points.get(this.#chosen);
    const half = Math.max(6, 28 * this.#scale);
    this.#magnifier.setAttribute("viewBox", `${point.x - half} ${point.y - half} ${2 * half} ${2 * half}`);
    this.#lens.querySelectorAll("path").forEach((path) => path.remove());
    const cross = `M${point.x - half} ${point.y}H${point.x - half / 8}M${point.x + half / 8} ${point.y}H${point.x + half}M${point.x} ${point.y - half}V${point.y - half / 8}M${point.x} ${point.y + half / 8}V${point.y + half}`;
    for (const [colour, width] of [["#fff", 3], ["#000", 1]])
      element("path", { d: cross, fill: "none", stroke: colour, "stroke-width": width, "vector-effect": "non-scaling-stroke" }, this.#lens);
    const box = this.#svg.getBoundingClientRect();
    const x = (point.x - this.#view.x) / this.#scale, y = (point.y - this.#view.y) / this.#scale;
    this.#magnifier.classList.toggle("right", x < box.width / 2 && y < 190);
  }

  // -------------------------------------------------------------------------------------- lines

  lines(marks) { this.#marks(this.#layers.lines, marks.map((mark) => [null, mark])); }

  allLines(named) { // of each measurement, to be clicked
    this.#marks(this.#layers.all, Object.entries(named).flatMap(([id, marks]) => marks.filter((m) => !m.dashed).map((m) => [id, m])));
  }

  #marks(layer, marks) {
    layer.replaceChildren();
    for (const [id, mark] of marks) {
      const closed = CLOSED.has(mark.shape);
      const d = mark.points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("") + (closed ? "Z" : "");
      if (!id && !closed) element("path", { class: "under", d }, layer);
      const path = element("path", { class: `mark${closed ? " closed" : ""}${mark.dashed ? " dashed" : ""}`, d }, layer);
      if (!mark.dashed) path.setAttribute("stroke", id ? "#56b4e9" : mark.colour);
      if (closed && mark.shape !== "outline") path.setAttribute("fill", mark.colour);
      if (id) path.dataset.measurement = id;
    }
  }

  // The next click, or drag from one edge to the other, marks something on the photo; so do the keys of #aim.
  mark() { this.#marking = true; this.#svg.classList.add("marking"); }

  #unmark() {
    this.#marking = false;
    this.#edge = null;
    this.#svg.classList.remove("marking");
    this.#layers.cross.replaceChildren();
  }

  // Arrow keys move a cross; Enter marks there, or up to there from where Space was pressed.
  #aim(event, arrow) {
    const v = this.#view, seen = ([x, y]) => x > v.x && y > v.y && x < v.x + v.w && y < v.y + v.h;
    const far = (event.shiftKey ? 40 : event.altKey ? 1 : 8) * this.#scale;
    if (!this.#cross || !seen(this.#cross)) this.#cross = [v.x + v.w / 2, v.y + v.h / 2];
    if (arrow) this.#cross = [this.#cross[0] + far * arrow[0], this.#cross[1] + far * arrow[1]];
    if (event.key === " ") this.#edge = this.#cross;
    const [x, y] = this.#cross, half = 12 * this.#scale;
    this.#layers.cross.replaceChildren();
    for (const kind of ["under", "mark"]) element("path", { class: kind, stroke: "#ffd33d", d: `M${x - half} ${y}H${x + half}M${x} ${y - half}V${y + half}` }, this.#layers.cross);
    if (event.key === "Enter") { this.#marked([this.#edge ?? this.#cross, this.#cross], true); return; }
    if (this.#edge) this.#marked([this.#edge, this.#cross], false);
  }

  #marked([a, b], done) {
    const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], r = Math.hypot(a[0] - b[0], a[1] - b[1]) / 2;
    const circle = Array.from({ length: 48 }, (_, i) => [middle[0] + r * Math.cos((i * Math.PI) / 24), middle[1] + r * Math.sin((i * Math.PI) / 24)]);
    this.lines([{ shape: "outline", points: circle, colour: "#ffd33d" }]);
    if (!done) return;
    this.#unmark();
    const still = 2 * r < 6 * this.#scale; // a click
    this.dispatchEvent(new CustomEvent("marked", { detail: { from: a, to: still ? a : b, pixel: Math.max(1, this.#scale) } }));
  }

  // ------------------------------------------------------------------------------------- pointer

  #nearest(at, reach) {
    let best = null, least = reach * this.#scale;
    for (const [code, { point }] of this.#points) {
      const far = Math.hypot(point.x - at[0], point.y - at[1]);
      if (far < least) [best, least] = [code, far];
    }
    return best;
  }

  #down(event) {
    this.#svg.focus({ preventScroll: true });
    this.#svg.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 2) { // two fingers pan and zoom
      if (this.dragging) this.#drop();
      this.#grip = { kind: "pinch" };
      return;
    }
    if (this.#marking) {
      this.#grip = { kind: "mark", at };
      return;
    }
    const code = this.#nearest(at, event.pointerType === "touch" ? 1.6 * REACH : REACH);
    if (code && this.#still) {
      this.#grip = { kind: "none" };
      this.choose(code);
      return;
    }
    if (code) {
      const from = this.place(code);
      this.#grip = { kind: "point", code, from, shift: [from[0] - at[0], from[1] - at[1]], moved: false };
      this.#sharpen(true);
      this.choose(code);
    } else {
      const line = event.target.dataset?.measurement;
      if (line) this.dispatchEvent(new CustomEvent("line", { detail: line }));
      this.#grip = { kind: "pan", at, face: event.target.closest?.("[data-at]"), x: event.clientX, y: event.clientY };
    }
    this.#svg.classList.add("dragging");
  }

  #move(event) {
    const at = this.#view ? this.#at(event) : null;
    if (!this.#grip) { if (at) this.#svg.classList.toggle("at-point", this.#nearest(at, REACH) !== null); return; }
    if (!this.#pointers.has(event.pointerId)) return;
    if (this.#grip.kind === "pinch") {
      const [a, b] = [...this.#pointers.entries()];
      const other = a[0] === event.pointerId ? b[1] : a[1], mine = this.#pointers.get(event.pointerId);
      const before = Math.hypot(mine[0] - other[0], mine[1] - other[1]), now = Math.hypot(at[0] - other[0], at[1] - other[1]);
      if (before > 0 && now > 0) this.zoom(now / before, other);
      this.#pointers.set(event.pointerId, this.#at(event));
    } else if (this.#grip.kind === "mark") {
      this.#marked([this.#grip.at, at], false);
    } else if (this.#grip.kind === "none") {
      return;
    } else if (this.#grip.kind === "pan") {
      const v = this.#view;
      this.#look({ ...v, x: v.x + this.#grip.at[0] - at[0], y: v.y + this.#grip.at[1] - at[1] });
    } else {
      this.#shift(this.#grip.code, [at[0] + this.#grip.shift[0], at[1] + this.#grip.shift[1]]);
      this.#grip.moved = true;
      this.dispatchEvent(new CustomEvent("move", { detail: { code: this.#grip.code, place: this.place(this.#grip.code), done: false } }));
    }
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#grip?.kind === "mark") this.#marked([this.#grip.at, this.#at(event)], true);
    if (this.#grip?.kind === "point") this.#drop();
    if (this.#grip?.face && Math.hypot(event.clientX - this.#grip.x, event.clientY - this.#grip.y) < 5) this.#pick(this.#grip.face);
    if (!this.#pointers.size) { this.#grip = null; this.#svg.classList.remove("dragging"); }
    this.#draw();
  }

  #drop() {
    const { code, from, moved } = this.#grip;
    this.#grip = null;
    this.#svg.classList.remove("dragging");
    if (moved) this.dispatchEvent(new CustomEvent("move", { detail: { code, from, place: this.place(code), done: true } }));
  }

  #shift(code, [x, y]) {
    const held = this.#points.get(code);
    const inside = (v, most) => Math.round(1000 * Math.min(Math.max(v, 0), most - 1)) / 1000;
    held.point = { ...held.point, x: inside(x, this.#doc.width), y: inside(y, this.#doc.height), moved: true };
    this.#draw();
  }

  // ------------------------------------------------------------------------------------ keyboard

  #key(event) {
    if (!this.#doc || ((event.ctrlKey || event.metaKey) && !event.getModifierState("AltGraph"))) return; // which makes brackets on some keyboards
    const codes = [...this.#points.keys()];
    const next = (step) => this.choose(codes[(codes.indexOf(this.#chosen) + step + codes.length) % codes.length]);
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (this.#marking && (event.key in arrows || event.key === "Enter" || event.key === " ")) this.#aim(event, arrows[event.key]);
    else if (event.key in arrows && !this.#chosen) {
      const far = (event.shiftKey ? 200 : 40) * this.#scale, [dx, dy] = arrows[event.key], v = this.#view;
      this.#look({ ...v, x: v.x + far * dx, y: v.y + far * dy });
    } else if (event.key in arrows && !this.#still) {
      const far = event.shiftKey ? 10 : event.altKey ? 0.1 : 1, [dx, dy] = arrows[event.key], from = this.place(this.#chosen);
      this.#shift(this.#chosen, [from[0] + far * dx, from[1] + far * dy]);
      this.dispatchEvent(new CustomEvent("move", { detail: { code: this.#chosen, from, place: this.place(this.#chosen), done: true } }));
    } else if (event.key === "]" || event.key === "PageDown") next(1);
    else if (event.key === "[" || event.key === "PageUp") next(this.#chosen ? -1 : 1);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25, this.#chosen && this.place(this.#chosen));
    else if (event.key === "-") this.zoom(0.8, this.#chosen && this.place(this.#chosen));
    else if (event.key === "0") this.fit();
    else if (event.key === "Escape" && this.#marking) { this.#unmark(); this.lines([]); this.dispatchEvent(new CustomEvent("unmarked")); }
    else if (event.key === "Escape" && this.#chosen) this.choose(null);
    else if (event.key === "Delete" || event.key === "Backspace") this.dispatchEvent(new CustomEvent("reset", { detail: this.#chosen }));
    else return;
    event.preventDefault();
  }
}
