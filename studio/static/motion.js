// A clip whose motion came from another: beside its source, wiped over it, and how alike both move.

import { call, media, recall, remember } from "./api.js";
import { gauge } from "./gauge.js";
import { sheet } from "./sheets.js";
import { SLICED } from "./slices.js";
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

function figure(values, [name, label, low, help]) {
  return name in values || name === "motion_fidelity" ? gauge({ label, value: values[name], low, help }) : "";
}

// Under the screen: figures, tracks of both, and slices of both along one column that can be moved.
class Motion extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
  }

  async look(job) {
    const key = moved(job) ? job.id : "";
    if (key === this.shown) return;
    this.shown = key;
    this.hidden = !key;
    this.replaceChildren();
    if (!key) return;
    this.innerHTML = `<dl class="lk-gauges">${GAUGES.map((one) => figure(job.values ?? {}, one)).join("")}</dl><details ${narrow.matches ? "" : "open"}><summary><b>Both motions</b></summary><div data-part="tracks"></div><div data-part="slices"></div></details>`;
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
    const place = this.querySelector("[data-part=slices]");
    place.innerHTML = SLICED;
    place.querySelector("likeness-slices").show([["Source", source.frames, images[0]], ["Result", result.frames, images[1]]], job.request.width / job.request.height);
  }
}

customElements.define("likeness-motion", Motion);
