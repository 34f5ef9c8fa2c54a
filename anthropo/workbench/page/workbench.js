// What the page does: photos in, points moved, numbers that follow.
import { FaceView } from "/face.js";
import { ModelPanel } from "/model.js";
import { PatientPanel } from "/patient.js";
import { Survey } from "/survey.js";
import { Measurements, gate, growth, hidden, keep, make, person, scaled, traits } from "/tables.js";

const $ = (id) => document.getElementById(id);
const face = new FaceView($("face"), $("magnifier")), measurements = new Measurements($("measurements"));
const patient = new PatientPanel($("patient"), ask, (id) => open(id), face, () => listed, join);
const survey = new Survey(ask, say);
const model = new ModelPanel($("model"), ask, say);
let doc = null; // of the photo that is shown
let hand = new Map(); // points that a hand has placed, by code
let past = []; // earlier `hand`s, for undo
let lines = new Map(); // what measurements run along, as long as no point is moved
let listed = [];

// ---------------------------------------------------------------------------------------- server

async function ask(path, { method = "GET", told = null, body = null } = {}) {
  let answer;
  try {
    answer = await fetch(path, { method, body: told ? JSON.stringify(told) : body, headers: told ? { "content-type": "application/json" } : {} });
  } catch {
    throw new Error("The workbench does not answer. If it was ended, start it again with `anthropo serve`; what you changed before is kept.");
  }
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), { status: answer.status });
  return answer.json();
}

function say(words = "") { $("message").textContent = words; }

async function trying(work) {
  try { return await work(); } catch (error) { say(error.message); return null; }
}

const at = (rest = "") => `/api/photos/${doc.id}${rest}`;

// ---------------------------------------------------------------------------------------- photos

async function list() {
  const told = await ask("/api/photos");
  $("folder").textContent = told.folder;
  $("version").textContent = `anthropo ${told.version}`;
  listed = told.photos;
  model.models = told.models;
  $("empty").hidden = listed.length > 0;
  const known = new Map([...$("list").children].map((item) => [item.dataset.photo, item]));
  $("list").replaceChildren(...listed.map((photo) => known.get(photo.id) ?? row(photo)));
  survey.show(listed.length);
  mark();
}

function row(photo) {
  const button = make("button", { type: "button", tabIndex: -1 }, make("img", { src: `/api/photos/${photo.id}/thumbnail`, alt: "", loading: "lazy", fetchpriority: "low" }), make("span", {}, photo.name));
  button.addEventListener("click", () => open(photo.id));
  const item = make("li", {}, button);
  item.dataset.photo = photo.id;
  return item;
}

function mark() {
  const items = [...$("list").children];
  stop(items.find((item) => item.dataset.photo === doc?.id) ?? items.find((item) => !item.hidden));
  for (const item of items) {
    if (item.dataset.photo === doc?.id) item.firstChild.setAttribute("aria-current", "true");
    else item.firstChild.removeAttribute("aria-current");
  }
}

async function open(id) {
  say();
  try { show(await ask(`/api/photos/${id}`)); } catch (error) { say(`${error.message}${doc ? ` ${doc.name} is still shown.` : ""}`); }
}

// The list is one stop of the tab key; arrows go through it.
$("list").addEventListener("keydown", (event) => {
  const shown = [...$("list").children].filter((item) => !item.hidden), at = shown.indexOf(event.target.closest("li"));
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = shown[Math.min(Math.max(to, 0), shown.length - 1)];
  stop(next);
  next.firstChild.focus();
});

function stop(item) {
  for (const other of $("list").querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
  if (item) item.firstChild.tabIndex = 0;
}

// Back and forward go from photo to photo, and a reload stays at one.
function remember(id) {
  if (history.state?.photo === id) return;
  if (history.state?.photo) history.pushState({ photo: id }, "");
  else history.replaceState({ photo: id }, "");
}

window.addEventListener("popstate", ({ state }) => { if (state?.photo && state.photo !== doc?.id) open(state.photo); });

function enlist(photo) {
  if (!listed.some((one) => one.id === photo.id)) { listed.push({ id: photo.id, name: photo.name }); $("list").append(row(photo)); }
  mark();
}

let adding = Promise.resolve(); // what was dropped while others are measured waits, so that no message is lost

function add(files) {
  const all = [...files]; // which a field that is emptied takes away
  return (adding = adding.catch(() => {}).then(() => take(all)));
}

// The first of several is shown; the others come into the list, so that nobody is interrupted.
async function take(all) {
  say();
  const failed = [];
  let shown = false;
  for (const [i, file] of all.entries()) {
    const slow = setTimeout(() => say(`Measuring ${all.length > 1 ? `${i + 1} of ${all.length}: ` : ""}${file.name}…`), all.length > 1 ? 0 : 300);
    const begun = performance.now();
    try {
      const told = await ask(`/api/photos?name=${encodeURIComponent(file.name || "pasted.png")}`, { method: "POST", body: file });
      if (!shown) {
        show(told);
        requestAnimationFrame(() => setTimeout(() => performance.measure("photo-to-face", { start: begun }))); // when it is painted
      }
      shown = true;
      enlist(told);
    } catch (error) { failed.push(error.message); }
    clearTimeout(slow);
  }
  say([...failed.slice(0, 3), ...(failed.length > 3 ? [`${failed.length - 3} more could not be measured.`] : [])].join(" "));
  await trying(list);
}

// ----------------------------------------------------------------------------------- one photo

function show(told) {
  doc = told;
  past = [];
  lines = new Map();
  for (const id of ["stage", "results"]) $(id).hidden = false;
  remember(doc.id);
  face.show(doc, at("/picture"));
  measurements.show(doc);
  forms();
  if ($("point").length !== doc.points.length + 1) $("point").replaceChildren(make("option", { value: "" }, "none chosen"), ...doc.points.map((point) => make("option", { value: point.code }, `${point.code} · ${point.name}`)));
  taken();
  mark();
  words();
  allLines();
}

function forms() {
  person($("person"), { ...doc, now: () => doc.points }, describe, markSticker);
  keep($("keep"), doc, (kind) => trying(async () => say(`Kept: ${(await ask(at(`/results/${kind}`), { method: "POST" })).path}`)));
}

// The frame of a video that is shown becomes a photo of its own once a point is moved in it.
function adopt(told) {
  doc = told;
  const earlier = doc.points.filter((point) => point.moved).map((point) => [point.code, [point.x, point.y]]);
  hand = new Map([...earlier, ...hand]);
  past = past.map((one) => new Map([...earlier, ...one]));
  face.address = at("/picture");
  remember(doc.id);
  enlist(doc);
  forms();
  say(`This frame is a photo of its own now, ${doc.name}; the video stays as it is.`);
}

// A document that has come: everything that depends on the points.
function taken() {
  hand = new Map(doc.points.filter((point) => point.moved).map((point) => [point.code, [point.x, point.y]]));
  followed();
  if (!$("traits").hidden) callTraits();
  if (!$("model").hidden) model.ask(doc);
  if (!$("patient").hidden) patient.ask(doc);
  if (!$("person").hidden) charts();
}

function followed(ahead = null) {
  face.update(doc, ahead);
  measurements.update(doc);
  gate($("photo"), doc);
  scaled($("person"), doc);
  const failed = doc.gate.filter((check) => !check.ok);
  $("failed").textContent = failed.length ? `(${failed.length})` : "";
  $("gate-line").textContent = [
    doc.faces.length > 1 && !doc.video ? `${doc.faces.length} faces were found; measured is ${doc.person.face_at ? "the one that was chosen" : "the largest"}. “Other face…” chooses another.` : "",
    doc.faces.length > 1 && doc.video ? "More than one face is in front; the largest is measured." : "",
    hidden(doc),
    failed.length ? `The photo gate objects: ${failed.map((check) => `${check.name} ${check.value} (${check.advice})`).join("; ")}.` : "",
  ].join(" ");
  const { patient, sex, age, taken } = doc.person;
  $("about").textContent = [doc.name, patient && `patient ${patient}`, sex, age && `age ${age}`, taken, doc.by_hand.length && `points placed by hand: ${doc.by_hand.join(", ")}`].filter(Boolean).join("; ");
  buttons();
  words();
}

function buttons() {
  $("other-face").disabled = doc.video;
  $("undo").disabled = !past.length;
  $("reset").disabled = !hand.has(face.chosen);
  $("reset-all").disabled = !hand.size;
}

function words() {
  $("point").value = face.chosen ?? "";
  if (!face.chosen) { $("point-words").textContent = doc.video ? "The best frame of a video. Move a point in it, and the frame is kept as a photo of its own." : "Drag a point, or choose one."; return; }
  const point = face.point(face.chosen), far = Math.hypot(point.x - point.found[0], point.y - point.found[1]);
  const moved = point.moved ? `, moved by ${far.toFixed(1)} px` : "";
  $("point-words").textContent = `${point.code}, ${point.name}: x ${point.x.toFixed(1)}, y ${point.y.toFixed(1)}${moved}${point.hidden ? ", hidden" : ""}; ± ${point.ellipse[0].toFixed(1)} px (95 %)`;
}

// --------------------------------------------------------------------------------------- moving

let under = null, next = null; // the request that is out, and what is to be sent after it
let unkept = false; // the last points could not be written
let refused = false; // the last points were not taken, which stands on the page

function place(keepIt) {
  next = { points: Object.fromEntries(hand), keep: keepIt || (next?.keep ?? false), photo: doc.id };
  $("results").setAttribute("aria-busy", "true");
  under ??= send().finally(() => { under = null; $("results").removeAttribute("aria-busy"); });
  return under;
}

async function send() {
  while (next) {
    let { points, photo } = next;
    const kept = next.keep;
    next = null;
    if (doc.id !== photo) return;
    const show = measurements.chosen ? [measurements.chosen] : [];
    const begun = performance.now();
    try {
      if (doc.video) {
        const frame = await ask(at("/frame"), { method: "POST" });
        if (doc.id !== photo) return;
        adopt(frame);
        photo = doc.id;
        points = Object.fromEntries(hand);
        if (next) next = { ...next, points, photo };
      }
      const told = await ask(at("/points"), { method: "PUT", told: { points, revision: doc.revision, keep: kept, show } });
      if (doc.id !== photo) return;
      if ((kept && unkept) || refused) { unkept = refused = false; say(); }
      doc = told;
      lines = new Map(Object.entries(told.lines));
      if (face.dragging || next) { followed(hand); if (!$("traits").hidden) await callTraits(); if (!$("model").hidden) await model.follow(doc); } else { taken(); allLines(); }
      draw();
      performance.measure("point-to-numbers", { start: begun });
    } catch (error) {
      say(error.message);
      refused = error.status !== 507;
      unkept = error.status === 507 && !doc.video;
      next = unkept ? (next ?? { points, keep: false, photo }) : null; // so that numbers follow all the same
      if (error.status && !unkept) { const told = await trying(() => ask(at())); if (told && doc.id === photo) { doc = told; past = []; taken(); } }
    }
  }
}

face.addEventListener("move", ({ detail }) => {
  if (detail.done) past.push(new Map(hand).set(detail.code, before(detail)));
  hand.set(detail.code, detail.place);
  words();
  place(detail.done);
});

// where a point was before it was moved: not placed by hand at all, unless it was before
function before({ code, from }) {
  const { found } = face.point(code);
  return Math.hypot(from[0] - found[0], from[1] - found[1]) < 1e-6 ? null : from;
}

function back(to) {
  say();
  hand = new Map([...to].filter(([, at]) => at !== null));
  place(true);
}

face.addEventListener("reset", ({ detail }) => { if (hand.has(detail)) { past.push(new Map(hand)); const to = new Map(hand); to.delete(detail); back(to); } });
face.addEventListener("choose", () => { words(); buttons(); });
$("reset").addEventListener("click", () => face.dispatchEvent(new CustomEvent("reset", { detail: face.chosen })));
$("reset-all").addEventListener("click", () => { past.push(new Map(hand)); back(new Map()); });
$("undo").addEventListener("click", () => { if (past.length) back(past.pop()); });
$("point").addEventListener("change", (event) => { if (event.target.value) { face.choose(event.target.value, { quiet: false }); $("face").focus(); } });
$("closer").addEventListener("click", () => face.zoom(1.4, face.chosen && face.place(face.chosen)));
$("wider").addEventListener("click", () => face.zoom(1 / 1.4));
$("fit").addEventListener("click", () => face.fit());
$("other-face").addEventListener("click", () => trying(async () => {
  say("Looking for other faces…");
  const of = doc.id, found = await ask(at("/faces"));
  if (doc.id !== of) return;
  if (found.length < 2) { say("No other face was found in this photo."); return; }
  say("Click the face to measure, or choose it with Tab and Enter.");
  face.whole();
  face.faces(found)[0]?.focus();
}));
face.addEventListener("face", ({ detail }) => trying(async () => {
  say("Measuring this face…");
  const of = doc.id, told = await ask(at("/person"), { method: "PUT", told: { person: { face_at: detail } } });
  if (doc.id !== of) return;
  show(told);
  draw();
  $("face").focus({ preventScroll: true });
  const entered = ["sex", "age", "observed", "scale"].some((name) => doc.person[name]);
  say(entered ? "This face is measured now. What was entered under “Person”, and answered by eye under “Traits”, is kept with the photo: check that it is this person’s." : "This face is measured now.");
}));
$("ellipses").addEventListener("change", (event) => { face.ellipses = event.target.checked; });
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.matches("input, select")) { event.preventDefault(); $("undo").click(); }
});

// --------------------------------------------------------------------------------------- sticker

let sticker = 0; // millimetres, of the one that is being marked

function markSticker(mm) {
  sticker = mm;
  say("Click the sticker on the photo, or drag across it from one edge to the other. By keyboard: arrow keys, then Enter; or Space at one edge and Enter at the other.");
  face.mark();
  $("face").focus();
  $("stage").scrollIntoView({ block: "nearest" });
}

face.addEventListener("unmarked", () => { say(); draw(); });
face.addEventListener("marked", ({ detail: { from, to, pixel } }) => trying(async () => {
  say();
  const of = doc.id, ends = { mm: sticker, x: from[0], y: from[1], x2: to[0], y2: to[1] }, far = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const told = await ask(at(`/sticker?${new URLSearchParams(ends)}`));
  if (doc.id !== of) return;
  if (!told.scale && !far) {
    say("Nothing with an edge all round was found there. Drag across the sticker, from one edge to the other, or press Space at one edge and Enter at the other.");
    face.mark();
    return;
  }
  const scale = sticker / far; // each edge is met to about a pixel of the screen
  await describe({ scale: told.scale || `mm-per-px=${scale.toPrecision(5)}±${((scale * Math.SQRT2 * pixel) / far).toPrecision(2)}` });
  if (told.scale && doc.id === of) face.lines([{ shape: "outline", points: told.shape, colour: "#ffd33d" }]);
}));

// ---------------------------------------------------------------------------------------- lines

let wanted = null;

async function draw(id = measurements.chosen) {
  wanted = id;
  if (!id) { face.lines([]); return; }
  if (!lines.has(id)) {
    const of = doc.id, marks = await trying(() => ask(at(`/lines/${id}`)));
    if (!marks || doc.id !== of) return;
    lines.set(id, marks);
  }
  if (wanted === id) face.lines(lines.get(id));
}

async function allLines() {
  const of = doc.id, named = $("all-lines").checked ? await trying(() => ask(at("/lines"))) : {};
  if (named && doc.id === of) face.allLines(named);
}

patient.addEventListener("show", ({ detail }) => draw(detail));
model.addEventListener("show", ({ detail }) => draw(detail));
measurements.addEventListener("show", ({ detail }) => draw(detail));
face.addEventListener("line", ({ detail }) => { tab("measurements"); measurements.choose(detail, { scroll: true }); });
$("all-lines").addEventListener("change", allLines);

// ----------------------------------------------------------------------------------------- tabs

const TABS = ["measurements", "traits", "person", "photo", "patient", "model", "keep"];

function tab(name, focus = false) {
  for (const one of TABS) {
    const chosen = one === name, button = $(`tab-${one}`);
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    $(one).hidden = !chosen;
    if (chosen && focus) button.focus();
  }
  if (name === "traits") callTraits();
  if (name === "model") model.ask(doc);
  if (name === "patient") patient.ask(doc);
  if (name === "person") charts();
}

for (const name of TABS) {
  $(`tab-${name}`).addEventListener("click", () => tab(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) tab(TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length], true);
  });
}

async function callTraits() {
  const of = doc.id, told = await trying(() => ask(at("/traits")));
  if (!told || doc.id !== of) return;
  const open = new Set([...document.querySelectorAll("#traits details[open] > summary")].map((one) => one.textContent.split(" (")[0]));
  traits($("traits"), told, describe, ["sex", "age"].filter((name) => !doc.person[name]));
  for (const one of document.querySelectorAll("#traits details > summary")) if (open.has(one.textContent.split(" (")[0])) one.parentElement.open = true;
}

async function charts() {
  const of = doc.id, told = await trying(() => ask(at("/growth")));
  if (told && doc.id === of) growth(document.querySelector("#person .growth"), told);
}

async function describe(cells) {
  say();
  const told = await trying(() => ask(at("/person"), { method: "PUT", told: { person: cells } }));
  if (told && told.id === doc.id) { doc = told; lines = new Map(); taken(); draw(); }
}

// Photos are of one person, who has this code from now on.
async function join(ids, patient) {
  const of = doc.id;
  await trying(async () => {
    for (const id of ids) {
      const told = await ask(`/api/photos/${id}/person`, { method: "PUT", told: { person: { patient } } });
      if (id === of && doc.id === of) { doc = told; forms(); taken(); }
    }
    await list();
  });
}

// ---------------------------------------------------------------------------- photos come in

const PHOTO = /\.(jpe?g|jpe|jfif|png|tiff?|webp|bmp|hei[cf]|avif|mp4|m4v|mov|3gp|avi|mkv|webm|mpe?g|mts)$/i;

// What was dropped, and of folders the photos and videos in them.
async function dropped(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean), found = [];
  if (!entries.some((entry) => entry.isDirectory)) return data.files;
  const some = (of, method) => new Promise((done, failed) => of[method](done, failed));
  const walk = async (entry, wanted) => {
    if (entry.isFile) { if (wanted || PHOTO.test(entry.name)) found.push(await some(entry, "file")); return; }
    const reader = entry.createReader(), within = [];
    for (let more = await some(reader, "readEntries"); more.length; more = await some(reader, "readEntries")) within.push(...more);
    for (const one of within.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))) await walk(one, false);
  };
  for (const entry of entries) await walk(entry, true);
  if (!found.length) throw new Error("There is no photo and no video in the folder that was dropped.");
  return found;
}

$("add").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
document.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").hidden = false; });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", (event) => { event.preventDefault(); $("drop").hidden = true; if (event.dataTransfer.files.length) trying(async () => add(await dropped(event.dataTransfer))); });
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(event.clipboardData.files); });

await trying(list);
trying(() => survey.begin());
if (listed.length) await open((listed.find((photo) => photo.id === history.state?.photo) ?? listed[0]).id);
document.documentElement.dataset.ready = "true";
