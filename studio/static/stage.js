// The screen: what the selected job shows right now, from an empty stage to a playing clip.

import { media } from "./api.js";
import { cut, drawRest, filmOf, isBoard, isClip, missing as lacking, saved } from "./boards.js";
import { besidePicture, pictureScene, pictureTool, turnPicture, withoutPicture } from "./beside.js";
import { besides, comparable, compare, start, stopComparing, together, tools } from "./compare.js";
import { fillIn } from "./form.js";
import { hold, lookOf, looks, missing, moved, scene, setLook, twoVideos, wiping } from "./motion.js";
import "./grids.js";
import "./portrait.js";
import { download } from "./project.js";
import { remove, retry, selected, state, stop, subscribe } from "./jobs.js";
import { active, duration, escape, fraction, icon, saidIn, shotsOf } from "./words.js";

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const ASIDE = new Set(["reference", "mask"]); // pictures that are not of the clip

// Of several pictures, the one that will become the clip.
const screened = (job) => isBoard(job) ? job.previews.findLast((name) => /^shot \d+$/.test(name)) : ["denoised", "given", "motion of the source", "source", "faces in the photo"].find((name) => job.previews.includes(name)) ?? job.previews.filter((name) => !ASIDE.has(name)).at(-1);

class Stage extends HTMLElement {
  connectedCallback() {
    this.shown = null;
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Screen");
    this.innerHTML = '<div class="lk-scene"></div><likeness-motion></likeness-motion><likeness-portrait></likeness-portrait><likeness-board></likeness-board><likeness-grid></likeness-grid><likeness-inspector></likeness-inspector>';
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")?.dataset.do));
    this.addEventListener("likeness-cut", () => this.show());
    this.leave = subscribe(() => this.show());
    this.sight = new ResizeObserver(() => this.turn());
    this.sight.observe(this);
  }

  disconnectedCallback() {
    this.leave?.();
    this.sight?.disconnect();
    this.apart?.();
  }

  act(what) {
    const job = selected();
    if (!job || !what) return;
    if (what === "stop") this.halt(job);
    if (what === "retry") retry(job.id);
    if (what === "delete") remove(job.id);
    if (what === "reuse") fillIn(job.method, { ...job.request, seed: job.seed ?? job.request.seed });
    if (what === "seed") fillIn(job.method, { seed: job.seed });
    if (what.startsWith("look-")) { setLook(what.slice(5)); this.show(); this.querySelector(`[data-do=${what}]`)?.focus(); }
    if (what === "photo") { turnPicture(); this.show(); this.querySelector("[data-do=photo]")?.focus(); }
    if (what === "hold") hold(this);
    if (what === "rest") drawRest(job);
    if (what === "project") download(job.request);
    if (what === "compare") { compare(job); this.show(); }
    if (what === "alone") { stopComparing(); this.show(); }
  }

  halt(job) {
    const button = this.querySelector("[data-do=stop]");
    button.disabled = true;
    button.querySelector("span").textContent = "Stopping";
    stop(job.id);
  }

  // Two tabs have a screen each; the one that is out of sight rests.
  turn() {
    const videos = [...this.querySelectorAll("video")];
    if (this.offsetParent) {
      this.show();
      this.rested?.forEach((video) => video.play().catch(() => {}));
    }
    this.rested = this.offsetParent ? null : (this.rested ?? videos.filter((video) => !video.paused));
    if (!this.offsetParent) videos.forEach((video) => video.pause());
  }

  rests() { return this.shown !== null && !this.offsetParent && [...document.querySelectorAll("likeness-stage")].some((stage) => stage.offsetParent); }

  show() {
    if (this.rests()) return;
    const job = selected();
    const twin = job && besides(job);
    const key = job ? `${job.id} ${job.state} ${job.has_clip} ${twin?.id ?? ""} ${lookOf(job)} ${besidePicture(job)} ${isBoard(job) ? filmOf(job) : ""}` : state.loaded ? "empty" : "loading";
    if (key !== this.shown) this.change(key, job, twin);
    if (job && active(job)) this.advance(job);
    if (job && comparable(job)) this.offer(job);
    this.querySelector("likeness-motion").look?.(job);
    this.querySelector("likeness-portrait").look?.(job);
    this.querySelector("likeness-board").look?.(job);
    this.querySelector("likeness-grid").look?.(job);
    this.querySelector("likeness-inspector").look?.(job);
  }

  change(key, job, twin) {
    const back = this.querySelector("[data-part=compare]")?.contains(document.activeElement);
    this.apart?.();
    this.apart = null;
    this.shown = key;
    this.dataset.state = job?.state ?? key;
    this.toggleAttribute("board", Boolean(isBoard(job)));
    this.offered = "";
    this.querySelector(".lk-scene").innerHTML = job ? (twin ? pair(job, twin) : sceneOf(job)) : state.loaded ? empty(this.getAttribute("hint") ?? HINT) : "";
    const videos = this.querySelectorAll("video");
    const two = twin || (job && twoVideos(job));
    if (two) this.apart = together(...videos, 1 / (job.request.fps || 8));
    if (two && !calm.matches) start(...videos);
    if (job && twoVideos(job)) { wiping(this); missing(this, job, () => this.show()); }
    if (job && besidePicture(job)) withoutPicture(this, job, () => this.show());
    if (!two && !calm.matches) videos[0]?.play?.().catch(() => {});
    if (back && job && comparable(job)) this.offer(job).querySelector("button")?.focus();
  }

  // Comparing: a button, how far the twin is, or the way back.
  offer(job) {
    const place = this.querySelector("[data-part=compare]");
    const offered = tools(job);
    if (offered !== this.offered) place.innerHTML = this.offered = offered;
    return place;
  }

  advance(job) {
    const text = (name, words) => {
      const part = this.querySelector(`[data-part=${name}]`);
      if (part && part.textContent !== words) part.textContent = words;
    };
    text("phase", job.stopping ? "Stopping" : phase(job));
    text("count", job.total && job.unit === "steps" ? `${job.step} / ${job.total}` : job.total ? `${Math.round(100 * fraction(job))} %` : "");
    text("left", job.seconds_left == null ? "" : `${duration(job.seconds_left)} left`);
    const bar = this.querySelector("progress");
    if (bar && job.total) bar.value = fraction(job);
    else bar?.removeAttribute("value");
    this.develop(job);
  }

  // Swap the preview only once the next one is there, so that the picture never flickers.
  develop(job) {
    const name = screened(job);
    if (!name || this.version === `${job.id}/${job.preview_version}` || this.loading) return;
    const version = `${job.id}/${job.preview_version}`;
    const next = new Image();
    this.loading = next;
    next.alt = "Preview of the clip being drawn";
    next.className = "lk-preview";
    next.dataset.version = job.preview_version;
    next.onerror = () => { this.loading = null; };
    next.onload = () => {
      this.loading = null;
      this.version = version;
      const place = this.querySelector("[data-part=picture]");
      if (place?.dataset.job === job.id) place.replaceChildren(glow(next.src), next);
      document.dispatchEvent(new CustomEvent("likeness-preview", { detail: { id: job.id, source: next.src } }));
    };
    next.src = `${media(job.id, "preview.webp")}?name=${encodeURIComponent(name)}&v=${job.preview_version}`;
  }
}

function glow(source) {
  const light = new Image();
  light.className = "lk-glow";
  light.alt = "";
  light.src = source;
  return light;
}

function phase(job) {
  if (job.state === "queued") return job.position > 0 ? `Waiting, ${job.position} ahead` : "Next in line";
  return job.phase ? job.phase[0].toUpperCase() + job.phase.slice(1) : "Starting";
}

const button = (what, label, extra = "") => `<button type="button" class="lk-button ${extra}" data-do="${what}">${icon({ seed: "lock", rest: "add", project: "download" }[what] ?? what)}<span>${label}</span></button>`;

const progress = (job) => `<div class="lk-progress">
    <progress max="1" aria-label="Progress"></progress>
    <p role="status"><b data-part="phase"></b><span data-part="count"></span><span data-part="left"></span></p>
    ${button("stop", job.stopping ? "Stopping" : job.state === "queued" ? "Cancel" : "Stop", "lk-stop")}
  </div>`;

// A board has a contact sheet below instead of a screen.
const drawing = (job) => `${isBoard(job) ? "" : `
  <div class="lk-screen"><div class="lk-picture" data-part="picture" data-job="${job.id}"><div class="lk-waiting" aria-hidden="true"><i></i><i></i><i></i></div></div></div>`}
  ${progress(job)}${caption(job)}`;

const beside = (job) => (twoVideos(job) ? scene(job) : besidePicture(job) ? pictureScene(job) : "");

const finished = (job) => (beside(job) ? `${beside(job)}${actions(job)}${caption(job)}` : `
  <div class="lk-screen"><div class="lk-picture">
    <img class="lk-glow" alt="" src="${media(job.id, "poster.webp")}"/>
    <video src="${media(job.id, "clip.mp4")}" poster="${media(job.id, "poster.webp")}" loop muted controls playsinline aria-label="${escape(saidIn(job.request))}"></video>
  </div></div>${actions(job)}${caption(job)}`);

const half = (job, name) => `<figure><video src="${media(job.id, "clip.mp4")}" poster="${media(job.id, "poster.webp")}" loop muted controls playsinline preload="auto" aria-label="${escape(name)}: ${escape(job.request.prompt)}"></video>
  <figcaption>${escape(name)}</figcaption></figure>`;

const pair = (job, twin) => `
  <div class="lk-screen lk-twins">${half(job, `Injection: ${job.request.injection}`)}${half(twin, "Injection: off")}</div>${actions(job)}${caption(job)}`;

const link = (job, kind, path) => `<a class="lk-button" download="likeness-${job.seed ?? "clip"}.${kind}" href="${path}">${icon("download")}<span>${kind.toUpperCase()}</span></a>`;

const actions = (job) => `<div class="lk-actions">
    ${["mp4", "gif", "png"].map((kind) => link(job, kind, saved(media(job.id, `clip.${kind}`)))).join("")}
    <span class="lk-offer" data-part="compare"></span>${moved(job) ? looks(job) : pictureTool(job)}
    <span class="lk-gap"></span>
    ${button("reuse", "Reuse settings")}${button("delete", "Delete", "lk-quiet")}
  </div>`;

const STORY = {
  failed: "This clip could not be made.",
  cancelled: "You stopped this one.",
  interrupted: "The studio was closed while this was being drawn.",
};

const broken = (job) => `
  <div class="lk-screen"><div class="lk-message"><b>${STORY[job.state]}</b><p>${escape(job.error && job.error !== STORY[job.state] ? job.error : "Run it again, or take its settings back into the form.")}</p>
    <div class="lk-row">${button("retry", "Run again", "lk-primary")}${button("reuse", "Reuse settings")}${button("delete", "Delete", "lk-quiet")}</div></div></div>${caption(job)}`;

// A board that was broken off goes on where it was.
const rest = (job) => (job.state === "done" ? button("rest", "Draw the rest", "lk-primary") : button("retry", "Go on", "lk-primary"));

// The film of a board's shots that are done, also of one that did not come to its end.
const film = (job) => `
  <div class="lk-screen"><div class="lk-picture"><video src="${filmOf(job)}" loop muted controls playsinline aria-label="${escape(job.request.prompt)}"></video></div></div>
  ${job.state === "done" ? "" : `<p class="lk-told"><b>${STORY[job.state]}</b> ${escape(job.state === "failed" ? job.error : "")} ${cut(job).length} of ${job.request.shots.length} shots are there.</p>`}
  <div class="lk-actions">${lacking(job).length ? rest(job) : ""}
    ${(isClip(job) ? ["mp4", "gif", "png"] : ["mp4"]).map((kind) => link(job, kind, saved(filmOf(job).replace(/clip\.mp4$/, `clip.${kind}`)))).join("")}
    ${button("project", "Project", "")}<span class="lk-gap"></span>${button("reuse", "Reuse settings")}${button("delete", "Delete", "lk-quiet")}
  </div>${caption(job)}`;

const sceneOf = (job) => (isBoard(job) && !active(job) && filmOf(job) ? film : SCENES[job.state] ?? broken)(job);

const SCENES = { queued: drawing, running: drawing, done: finished };

const HINT = "Describe a moment, press Generate, and watch it take shape step by step.";

const empty = (hint) => `<div class="lk-screen"><div class="lk-message lk-empty">
  <svg viewBox="0 0 120 84" width="120" height="84" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
    <rect x="8" y="16" width="60" height="46" rx="12" opacity=".35"/><rect x="30" y="22" width="60" height="46" rx="12" opacity=".6"/><rect x="52" y="28" width="60" height="46" rx="12"/>
    <path d="m78 44 12 7-12 7z" fill="var(--lk-lamp)" stroke="none"/></svg>
  <b>Nothing on the screen yet</b><p>${escape(hint)}</p></div></div>`;

function caption(job) {
  const r = job.request;
  const facts = [`${r.width} × ${r.height}`, `${r.frames} frames`, `${r.steps} steps`, `guidance ${r.guidance}`];
  if ("strength" in r) facts.push(`strength ${r.strength}`);
  if ("id_scale" in r) facts.push(`identity ${r.id_scale}`, `details ${r.ref_scale}`);
  if (isBoard(job)) facts.unshift(r.only?.length ? `${r.only.length} of ${r.shots.length} shots` : shotsOf(r.shots.length));
  if (r.style) facts.unshift(r.style);
  if (r.injection) facts.push(`injection ${r.injection}`);
  if (job.state === "done" && job.started && job.finished) facts.push(`drawn in ${duration(job.finished - job.started)}`);
  const seed = job.seed ?? (r.seed >= 0 ? r.seed : null);
  const reuse = seed === null ? "" : `<span class="lk-seed">Seed <code>${seed}</code><button type="button" class="lk-link" data-do="seed">Reuse seed</button></span>`;
  const notes = (job.notes ?? []).map((note) => `<li>${escape(note)}</li>`).join("");
  return `<div class="lk-caption"><p class="lk-words">${escape(saidIn(r))}</p><p class="lk-facts">${facts.map((fact) => `<span>${escape(fact)}</span>`).join("")}${reuse}</p>
    ${notes ? `<ul class="lk-notes">${notes}</ul>` : ""}</div>`;
}

customElements.define("likeness-stage", Stage);
