// A clip whose motion came from another: beside its source, wiped over it, and how alike both move.

import { call, media, recall, remember } from "./api.js";
import { paint, sheet } from "./sheets.js";
import { escape, icon } from "./words.js";

const METHOD = "transfer-motion";
const SIDE = 256; // pixels of a frame in the sheets that slices are cut from
const LOOKS = [["beside", "Side by side", "pair"], ["wipe", "Wipe", "wipe"], ["alone", "Result", "clip"]];
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const narrow = window.matchMedia("(max-width: 900px)"); // there the form stands below all of this

const lost = new Set(); // jobs whose source is not kept any more: their result stands alone

let look = recall("motion.look") ?? "beside";

export function hold(stage) {
  const [lead] = stage.querySelectorAll("video");
  if (lead.paused) lead.play().catch(() => {});
  else lead.pause();
}

export const moved = (job) => job?.method === METHOD && job.state === "done" && job.has_clip;
export const lookOf = (job) => (moved(job) ? (lost.has(job.id) ? "lost" : look) : "");
export const twoVideos = (job) => ["beside", "wipe"].includes(lookOf(job));

export function setLook(name) {
  look = name;
  remember("motion.look", name);
}

export const looks = (job) => lookOf(job) === "lost" ? "" : `<span class="lk-looks" role="group" aria-label="How the result is shown">${LOOKS.map(([name, label, drawn]) =>
  `<button type="button" class="lk-chip" data-do="look-${name}" aria-pressed="${name === look}">${icon(drawn)}${label}</button>`).join("")}${look === "wipe" ? '<button type="button" class="lk-chip" data-do="hold">Pause</button>' : ""}</span>`;

const video = (job, file, name) => `<video src="${media(job.id, file)}" loop muted playsinline preload="auto" ${look === "wipe" ? "" : "controls"} aria-label="${escape(name)}: ${escape(job.request.prompt)}"></video>`;

// The screen of a finished job; the first video leads.
export function scene(job) {
  const [result, source] = [video(job, "clip.mp4", "Result"), video(job, "source.mp4", "Source")];
  if (look === "beside") {
    return `<div class="lk-screen lk-twins"><figure>${source}<figcaption>Source</figcaption></figure><figure>${result}<figcaption>Result</figcaption></figure></div>`;
  }
  return `<div class="lk-screen lk-wiped" style="--ratio: ${job.request.width / job.request.height}"><div class="lk-over">${result}<div class="lk-under">${source}</div><i></i>
    <input type="range" min="0" max="100" value="50" step="1" aria-label="Divider between source and result"/></div>
    <b class="lk-left">Source</b><b class="lk-right">Result</b></div>`;
}

// Tells `then` if the source of a job cannot be shown.
export function missing(stage, job, then) {
  for (const one of stage.querySelectorAll('video[src$="source.mp4"]')) one.addEventListener("error", () => { lost.add(job.id); then(); });
}

// Moving the divider, and a button instead of the controls that it would cover; called for a screen that is wiped.
export function wiping(stage) {
  const [lead] = stage.querySelectorAll("video");
  const button = stage.querySelector("[data-do=hold]");
  for (const name of ["play", "pause"]) lead.addEventListener(name, () => { if (button) button.textContent = lead.paused ? "Play" : "Pause"; });
  if (button && calm.matches) button.textContent = "Play";
  const over = stage.querySelector(".lk-over");
  const input = over?.querySelector("input");
  const place = () => { over.style.setProperty("--at", `${input.value}%`); input.setAttribute("aria-valuetext", `${input.value} % source`); };
  input?.addEventListener("input", place);
  if (input) place();
}

const GAUGES = [
  ["motion_fidelity", "Motion fidelity", -1, "How alike both move: 1 is the same, 0 nothing in common."],
  ["identity_leak", "Identity leak", 0, "How alike what both show is to the playground's judge: 1 is the same. At home in its own world, elsewhere a hint."],
];

function gauge(values, [name, label, low, help]) {
  if (!(name in values) && name !== "motion_fidelity") return "";
  const value = values[name];
  const known = Number.isFinite(value);
  const meter = known ? `<span class="lk-meter" role="meter" aria-label="${label}" aria-valuemin="${low}" aria-valuemax="1" aria-valuenow="${value}" ${low < 0 ? "data-signed" : ""}><i style="width: ${100 * Math.min(Math.max((value - low) / (1 - low), 0), 1)}%"></i></span>` : "";
  return `<div class="lk-gauge"><dt>${label}</dt><dd>${known ? value.toFixed(2) : "not measurable"}</dd>${meter}<p>${help}</p></div>`;
}

const side = (name, label) => `<figure data-of="${name}"><div class="lk-cut"><canvas class="lk-whole" role="img" aria-label="${label}, with the column that is shown"></canvas><i></i></div>
  <canvas class="lk-slice" role="img" aria-label="The column of the ${label.toLowerCase()} over time"></canvas><figcaption>${label}</figcaption></figure>`;

// Under the screen: figures, tracks of both, and slices of both along one column that can be moved.
class Motion extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
    this.addEventListener("input", (event) => { if (event.target.type === "range") this.move(event.target.value / 1000); });
    this.addEventListener("pointerdown", (event) => this.drag(event));
  }

  async look(job) {
    const key = moved(job) ? job.id : "";
    if (key === this.shown) return;
    this.shown = key;
    this.hidden = !key;
    this.replaceChildren();
    if (!key) return;
    this.innerHTML = `<dl class="lk-gauges">${GAUGES.map((one) => gauge(job.values ?? {}, one)).join("")}</dl><details ${narrow.matches ? "" : "open"}><summary><b>Both motions</b></summary><div data-part="tracks"></div><div data-part="slices"></div></details>`;
    const index = await call(`media/${encodeURIComponent(job.id)}/seen.json`);
    if (this.shown !== key || index.offline) return;
    if (!index.names) { this.querySelector("details").remove(); return; }
    const named = (name) => index.names.find((one) => one.name === name);
    this.tracks(job, ["source", "result"].map((of) => named(`motion of the ${of}`)));
    await this.slices(job, named("source"), named(index.finished));
  }

  tracks(job, found) {
    if (found.some((one) => !one)) return;
    const picture = (one, label) => `<figure><img alt="${label}, with tracks" src="${media(job.id, "seen.webp")}?name=${encodeURIComponent(one.name)}&step=${one.steps[0]}&side=384${calm.matches ? `&frame=${one.frames - 1}` : ""}"/><figcaption>${label}</figcaption></figure>`;
    this.querySelector("[data-part=tracks]").innerHTML = `<h3>Tracks</h3><p class="lk-how">Where points of the picture go, each in one colour.</p><div class="lk-beside">${picture(found[0], "Source")}${picture(found[1], "Result")}</div>`;
  }

  async slices(job, source, result) {
    if (!source || !result) return;
    const images = await Promise.all([source, result].map((one) => sheet(job.id, one.name, one.steps[0], SIDE)));
    if (this.shown !== job.id || images.some((image) => !image)) return;
    this.clips = [["source", source, images[0]], ["result", result, images[1]]];
    this.querySelector("[data-part=slices]").innerHTML = `<h3>One column over time</h3><p class="lk-how">Time goes to the right. What stands still gives straight lines, what moves draws its path.</p>
      <div class="lk-beside lk-slices" style="--ratio: ${job.request.width / job.request.height}">${side("source", "Source")}${side("result", "Result")}</div>
      <label class="lk-column"><span>Column</span><span class="lk-track"><input type="range" min="0" max="1000" step="1" aria-label="Column"/></span></label>`;
    for (const [of, named, image] of this.clips) paint(this.querySelector(`[data-of=${of}] .lk-whole`), image, named.frames, Math.floor(named.frames / 2));
    this.move(liveliest(images[0], source.frames));
  }

  drag(event) {
    const whole = event.target.closest(".lk-cut");
    if (!whole) return;
    const go = (at) => { const box = whole.getBoundingClientRect(); this.move(Math.min(Math.max((at.clientX - box.left) / box.width, 0), 1)); };
    go(event);
    whole.setPointerCapture(event.pointerId);
    whole.addEventListener("pointermove", go);
    whole.addEventListener("lostpointercapture", () => whole.removeEventListener("pointermove", go), { once: true });
  }

  // `share` 0..1 of the width.
  move(share) {
    const input = this.querySelector(".lk-column input");
    input.value = Math.round(1000 * share);
    input.style.setProperty("--share", `${100 * share}%`);
    input.setAttribute("aria-valuetext", `${Math.round(100 * share)} % from the left`);
    this.style.setProperty("--at", share);
    for (const [of, named, image] of this.clips) cut(this.querySelector(`[data-of=${of}] .lk-slice`), image, named.frames, share);
  }
}

const cells = (image, frames) => {
  const columns = Math.ceil(Math.sqrt(frames));
  return { columns, width: image.naturalWidth / columns, height: image.naturalHeight / Math.ceil(frames / columns) };
};

// One column of every frame, side by side.
function cut(canvas, image, frames, share) {
  const { columns, width, height } = cells(image, frames);
  Object.assign(canvas, { width: frames, height });
  const context = canvas.getContext("2d");
  const x = Math.min(Math.floor(share * width), width - 1);
  for (let frame = 0; frame < frames; frame += 1) context.drawImage(image, (frame % columns) * width + x, Math.floor(frame / columns) * height, 1, height, frame, 0, 1, height);
}

// The column in which most changes, 0..1.
function liveliest(image, frames) {
  const { width, height } = cells(image, frames);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const changes = new Float64Array(width);
  let before = null;
  for (let frame = 0; frame < frames; frame += 1) {
    paint(canvas, image, frames, frame);
    const { data } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, width, height);
    for (let at = 0; before && at < data.length; at += 4) changes[(at / 4) % width] += Math.abs(data[at] - before[at]) + Math.abs(data[at + 1] - before[at + 1]);
    before = data;
  }
  const best = changes.indexOf(Math.max(...changes));
  return changes[best] > 0 ? (best + 0.5) / width : 0.5;
}

customElements.define("likeness-motion", Motion);
