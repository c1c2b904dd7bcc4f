// Under the screen: what a step was decided by. While a clip is drawn, the newest picture of each name; afterwards every step
// and frame that was kept, to scrub through. Any job with several previews is shown so, whatever its method.

import { call } from "./api.js";
import { paint, sheet } from "./sheets.js";
import { isBoard } from "./boards.js";
import { active, escape, icon } from "./words.js";
import "./matches.js";

const SMALL = 160; // pixels of a tile's picture
const LARGE = 640;
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

const KINDS = { mask: "White is chosen, black is not.", map: "The brighter, the more.", flow: "The hue is the direction, its strength the distance: full from half a side on." };
const NAMES = {
  reference: "The picture that the look is taken from, cut as the model sees it.",
  denoised: "What the clip would be if the model stopped here.",
  correspondence: "Each place in the colour of its match in the reference: red grows to the right, green downwards.",
  "warped reference": "Pixels of the reference, at the places that they were matched with.",
  "warped reference, masked": "The same, where the injection mask is white.",
  "attention to the subject": "Where the model looks for the subject's word. The brighter, the more.",
  "foreground mask": "White where that attention is high.",
  "cycle mask": "White where a match leads back to where it came from.",
  "injection mask": "White where the look of the reference is injected.",
  source: "The part of the source that is used.",
  "motion of the source": "Where points of the source go, each in one colour.",
  "motion of the result": "Where points of the finished clip go, each in one colour.",
  "y-t slice of the source": "One column of the source over time, which goes to the right.",
  "y-t slice of the result": "One column of the finished clip over time, which goes to the right.",
  "faces in the photo": "All faces that were found in it, counted from the left.",
  "face for recognition": "The face in its place, as the recogniser reads who it is.",
  "face for reference": "The face with more around it, as the model sees its details.",
  "face so far": "The clip as it would be now, and the face in each frame of it.",
  "likeness so far": "How alike the face in each frame is to the photo's; 0 where there is none.",
  "face in the clip": "The face in each frame of the finished clip.",
  "likeness in the clip": "How alike the face in each frame is to the photo's; 0 where there is none.",
  given: "The clips that the grid was begun with, each in its cell.",
  mask: "White where a cell, in its row, may read the words of all cells or of one, in their column.",
  leakage: "How much of a cell's attention, in its row, goes to the words of all cells or of one, in their column.",
  finished: "The finished clip, at the moments of the other frames.",
};

const TIMELESS = new Set(["finished", "given", "mask", "source", "motion of the source", "motion of the result"]); // belong to no step
const ofTheEnd = (name) => name.endsWith(", finished") || name.endsWith(" in the clip");
const timeless = (name) => TIMELESS.has(name) || ofTheEnd(name);

const ended = ({ name }, { finished }) => name === finished || ofTheEnd(name); // seen at every step

const FRAME = `<div class="lk-scrub">
    <label><span>Step</span><span class="lk-track"><i data-part="band"></i><input type="range" min="0" data-part="step"/></span></label>
    <label><span>Frame</span><span class="lk-track"><input type="range" min="0" data-part="frame"/></span></label>
    <button type="button" class="lk-button" data-do="play" aria-pressed="false">${icon("clip")}<span>Play frames</span></button>
  </div>
  <div class="lk-seen"><figure class="lk-large" hidden><div><canvas role="img"></canvas></div><figcaption><b></b><p></p><i class="lk-wheel" hidden></i>
    <button type="button" class="lk-button" data-do="close">Close</button></figcaption></figure><ul class="lk-tiles"></ul></div>
  <likeness-matches hidden></likeness-matches>`;

class Inspector extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
    this.innerHTML = `<details><summary><b>Steps</b><span data-part="where"></span></summary><p class="lk-lost" hidden></p><div data-part="all">${FRAME}</div></details>`;
    this.piece = (name) => this.querySelector(`[data-part=${name}]`);
    this.tiles = new Map(); // name -> {item, canvas, image, frames}
    this.details = this.firstChild;
    this.inquiry = this.querySelector("likeness-matches");
    this.details.addEventListener("toggle", () => this.update());
    this.piece("step").addEventListener("input", (event) => this.go({ step: this.steps()[event.target.value] }));
    this.piece("frame").addEventListener("input", (event) => { this.play(false); this.go({ frame: Number(event.target.value) }); });
    this.inquiry.addEventListener("likeness-frame", (event) => { this.play(false); this.go({ frame: event.detail }); });
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.large) this.enlarge(null); });
  }

  disconnectedCallback() { clearInterval(this.timer); }

  act(button) {
    if (button?.dataset.do === "play") this.play(!this.playing);
    if (button?.dataset.do === "close") this.enlarge(null);
    if (button?.dataset.do === "enlarge") this.enlarge(button.dataset.name === this.large ? null : button.dataset.name);
  }

  // What the stage shows now; called whenever the jobs have been looked at.
  async look(job) {
    if (job?.id !== this.job?.id) this.clear();
    this.job = job;
    const wanted = job && (active(job) ? job.state === "running" && job.previews.length > 1 : true);
    if (!wanted) { this.hidden = true; return; }
    const key = `${job.id} ${active(job) ? job.preview_version : job.state}`;
    if (this.asking || this.asked === key) return;
    this.asking = true;
    const index = await call(`media/${encodeURIComponent(job.id)}/seen.json`);
    this.asking = false;
    if (this.job?.id !== job.id || index.offline) return;
    this.asked = key;
    this.take(index, active(job));
  }

  clear() {
    Object.assign(this, { index: null, asked: null, live: null, step: 0, frame: 0, large: null });
    this.hidden = true;
    this.play(false);
    for (const tile of this.tiles.values()) tile.item.remove();
    this.tiles.clear();
  }

  // A new index: of another job, of a newer step, or of a clip that has just been finished.
  take(index, live) {
    const others = index.names?.filter((named) => named.name !== index.finished) ?? [];
    this.hidden = index.error ? this.job.state !== "done" : !others.length;
    this.querySelector(".lk-lost").hidden = !index.error;
    this.querySelector(".lk-lost").textContent = index.error ?? "";
    this.piece("all").hidden = Boolean(index.error);
    this.piece("where").textContent = "";
    this.index = index.error ? null : index;
    if (this.live === null) this.details.open = others.length > 1 && !isBoard(this.job);
    if (this.hidden || index.error) return;
    const turned = this.live !== live;
    this.live = live;
    this.toggleAttribute("live", live);
    this.style.setProperty("--ratio", this.ratio());
    if (live) this.step = this.steps().at(-1);
    else if (turned) Object.assign(this, { step: index.matched.at(-1) ?? this.steps().at(-1), frame: 0 });
    if (turned) this.play(live && !still.matches);
    this.build();
    this.update();
  }

  ratio() {
    const { grid, names } = this.index;
    const shape = names.find((named) => named.frames > 1) ?? names[0];
    return grid ? grid[2] / grid[1] : shape.kind === "curve" ? 2 : shape.width / shape.height;
  }

  steps() { return [...new Set(this.index.names.filter((named) => !ended(named, this.index)).flatMap((named) => named.steps))].sort((a, b) => a - b); }
  frames() { return Math.max(...this.index.names.map((named) => named.frames)); }

  // The newest step of a name up to the chosen one; null if its first is yet to come.
  stepOf(named) {
    if (ended(named, this.index)) return named.steps[0];
    return named.steps.findLast((step) => step <= this.step) ?? null;
  }

  build() {
    const list = this.querySelector(".lk-tiles");
    for (const named of this.index.names) {
      if (this.tiles.has(named.name)) continue;
      const item = document.createElement("li");
      item.innerHTML = `<button type="button" data-do="enlarge" data-name="${escape(named.name)}" aria-pressed="false"><span class="lk-tile"><canvas aria-hidden="true"></canvas><em></em></span><span>${escape(named.name)}</span></button>`;
      item.dataset.kind = named.kind;
      list.append(item);
      this.tiles.set(named.name, { item, canvas: item.querySelector("canvas") });
    }
  }

  // Fetch what changed and show all of it at once; what is asked meanwhile is fetched next, not what came in between.
  async update() {
    if (!this.index || !this.details.open) { this.say(); return; }
    if (this.updating) { this.again = true; return; }
    this.updating = true;
    do {
      this.again = false;
      this.say();
      await this.fetch(this.job.id, this.index.names);
    } while (this.again && this.index);
    this.updating = false;
  }

  async fetch(job, names) {
    const steps = names.map((named) => this.stepOf(named));
    const large = names.find((named) => named.name === this.large);
    const wanted = names.map((named, place) => (steps[place] === null ? null : sheet(job, named.name, steps[place], SMALL)));
    const bigger = large && this.stepOf(large) !== null ? sheet(job, large.name, this.stepOf(large), LARGE) : null;
    const images = await Promise.all(wanted);
    this.bigger = await bigger;
    if (this.job?.id !== job || !this.index) return;
    names.forEach((named, place) => this.put(named, steps[place], images[place]));
    this.draw();
    this.inquiry.hidden = this.live || !this.index.grid || !this.index.matched.length;
    if (!this.inquiry.hidden) this.inquiry.show({ job, index: this.index, step: this.step, frame: this.frame });
  }

  put(named, step, image) {
    const tile = this.tiles.get(named.name);
    if (!tile) return;
    Object.assign(tile, { image, frames: named.frames });
    const other = step !== this.step && named.frames > 1 && !timeless(named.name);
    const label = step === null ? "not yet" : !image ? "not kept" : other && !this.live ? `step ${step + 1}` : "";
    tile.item.classList.toggle("lk-other", Boolean(label));
    tile.item.querySelector("em").textContent = label;
    tile.canvas.hidden = !image;
  }

  draw() {
    for (const { canvas, image, frames } of this.tiles.values()) if (image) paint(canvas, image, frames, this.frame);
    const large = this.large && this.index.names.find((named) => named.name === this.large);
    const canvas = this.querySelector(".lk-large canvas");
    if (large && this.bigger) paint(canvas, this.bigger, large.frames, this.frame);
    canvas.hidden = !this.bigger;
  }

  go(place) {
    Object.assign(this, place);
    if ("frame" in place && !("step" in place)) { this.say(); this.draw(); this.inquiry.turn(this.frame); } else this.update();
  }

  // One line about what is being looked at, and the sliders where they belong.
  say() {
    if (!this.index) return;
    const [steps, frames] = [this.steps(), this.frames()];
    const total = Math.max(this.job.request.steps ?? 0, this.live && !isBoard(this.job) ? this.job.total : 0, steps.at(-1) + 1);
    const where = [`step ${this.step + 1} of ${total}`, ...(this.live || frames < 2 ? [] : [`frame ${this.frame + 1} of ${frames}`])];
    this.piece("where").textContent = where.join(", ");
    this.slider("step", steps.length, steps.indexOf(this.step), where[0]);
    this.slider("frame", frames, this.frame, where[1] ?? "");
    this.querySelector("[data-do=play]").hidden = frames < 2;
    this.band(steps);
  }

  slider(name, count, value, text) {
    const input = this.piece(name);
    input.max = count - 1;
    input.value = value;
    input.setAttribute("aria-valuetext", text);
    input.style.setProperty("--share", `${(100 * value) / Math.max(count - 1, 1)}%`);
    input.closest("label").hidden = count < 2;
  }

  // Under the slider: the steps that were matched, as shares of its way.
  band(steps) {
    const { matched } = this.index;
    const share = (step) => steps.indexOf(step) / Math.max(steps.length - 1, 1);
    const along = (part) => `calc(9px + ${part} * (100% - 18px))`; // the middle of the thumb goes this way
    this.piece("band").hidden = !matched.length;
    if (matched.length) Object.assign(this.piece("band").style, { left: along(share(matched[0])), right: along(1 - share(matched.at(-1))) });
  }

  play(on) {
    this.playing = on;
    this.querySelector("[data-do=play]")?.setAttribute("aria-pressed", on);
    clearInterval(this.timer);
    if (!on || !this.job) return;
    const { frames = 16, fps = 8 } = this.job.request;
    this.timer = setInterval(() => this.index && this.go({ frame: (this.frame + 1) % this.frames() }), (1000 * frames) / fps / (this.index ? this.frames() : 4));
  }

  enlarge(name) {
    const before = this.large;
    this.large = name;
    const figure = this.querySelector(".lk-large");
    const focused = figure.contains(document.activeElement);
    figure.hidden = !name;
    for (const [own, { item }] of this.tiles) item.firstChild.setAttribute("aria-pressed", own === name);
    if (focused && !name) this.tiles.get(before)?.item.firstChild.focus();
    if (!name) return;
    const { kind } = this.index.names.find((named) => named.name === name);
    figure.querySelector("b").textContent = name;
    figure.querySelector("p").textContent = NAMES[name] ?? KINDS[kind] ?? "";
    figure.querySelector("canvas").setAttribute("aria-label", name);
    figure.querySelector(".lk-wheel").hidden = kind !== "flow";
    this.update();
  }
}

customElements.define("likeness-inspector", Inspector);
