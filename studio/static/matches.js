// Click to inspect: a point of the reference and where it went in every frame, or a point of a frame and where it came from.

import { call } from "./api.js";
import { paint, sheet } from "./sheets.js";

const SIDE = 256; // pixels of a picture
const MOST = 8; // steps whose matches stay in memory
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const kept = new Map(); // "job step" -> promise of the answer

function matchesOf(job, step) {
  const key = `${job} ${step}`;
  if (!kept.has(key)) kept.set(key, call(`media/${encodeURIComponent(job)}/matches.json?step=${step}`).then((answer) => { if (answer.error) kept.delete(key); return answer; }));
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return kept.get(key);
}

const limited = (value, count) => Math.min(Math.max(value, 0), count - 1);
const named = ([x, y]) => `column ${x + 1}, row ${y + 1}`;

class Matches extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.innerHTML = `<h3>What went where</h3><p class="lk-how" id="lk-point-hint">Point at the reference to see where it went, or at a frame to see where it came from; the arrow keys move the point.</p>
      <div class="lk-both"><div class="lk-from"></div><ol class="lk-frames"></ol></div>
      <p class="lk-said" role="status"></p>
      <p class="lk-legend"><span><i class="lk-dot"></i>the injection mask trusts the match</span><span><i class="lk-dot lk-hollow"></i>it does not</span></p>`;
    this.addEventListener("pointerdown", (event) => this.press(event));
    this.addEventListener("pointermove", (event) => { if (this.held === event.pointerId) this.point(event); });
    for (const name of ["pointerup", "pointercancel"]) this.addEventListener(name, () => { this.held = null; });
    this.addEventListener("keydown", (event) => this.move(event));
  }

  // `step` may be one that was not matched: then the last one before it counts.
  async show({ job, index, step, frame }) {
    if (job !== this.job) this.build(job, index);
    this.frame = frame;
    const matched = index.matched.findLast((one) => one <= step) ?? null;
    this.asked = matched;
    const pictures = this.paint(job, index, step);
    const found = matched === null ? null : await matchesOf(job, matched);
    await pictures;
    if (this.job !== job || this.asked !== matched) return;
    this.found = found && !found.error ? found : null;
    const early = `Nothing was matched yet at this step; matching begins at step ${index.matched[0] + 1}.`;
    const late = matched === step ? "" : `Matches of step ${matched + 1}, the last that were made. `;
    this.preface = matched === null ? early : (found.error ?? late);
    this.turn(frame);
    this.mark();
  }

  build(job, index) {
    this.job = job;
    const [frames, height, width] = index.grid;
    this.size = [width, height];
    this.points = {};
    this.of = "reference";
    const picture = (of, name) => `<div class="lk-point" data-of="${of}" tabindex="0" role="application" aria-roledescription="picture to point at" aria-label="${name}" aria-describedby="lk-point-hint"><canvas></canvas><i class="lk-ring" hidden></i><i class="lk-dot" hidden></i></div>`;
    this.querySelector(".lk-from").innerHTML = `${picture("reference", "Reference")}<span>reference</span>`;
    this.querySelector(".lk-frames").innerHTML = Array.from({ length: frames }, (_, at) => `<li>${picture(at, `Frame ${at + 1}`)}<span>${at + 1}</span></li>`).join("");
    this.style.setProperty("--ratio", width / height);
  }

  // The row shows the finished clip; of a job that was stopped, what it looked like at the step.
  async paint(job, index, step) {
    const [frames] = index.grid;
    const reference = index.names.find((one) => one.name === "reference");
    const clip = index.names.find((one) => one.name === (index.finished ?? "denoised"));
    const at = clip && (index.finished ? clip.steps[0] : clip.steps.findLast((one) => one <= step));
    const [from, to] = await Promise.all([reference && sheet(job, reference.name, reference.steps[0], SIDE), clip && at !== undefined && sheet(job, clip.name, at, SIDE)]);
    if (this.job !== job) return;
    if (from) paint(this.place("reference").querySelector("canvas"), from, 1, 0);
    if (to) for (let frame = 0; frame < frames; frame++) paint(this.place(frame).querySelector("canvas"), to, clip.frames, frame);
  }

  place(of) { return this.querySelector(`[data-of="${of}"]`); }

  // Only the frame that is being looked at is in the way of the Tab key; Shift and the arrow keys lead to the others.
  turn(frame) {
    this.frame = frame;
    for (const place of this.querySelectorAll(".lk-frames .lk-point")) {
      const now = Number(place.dataset.of) === frame;
      place.tabIndex = now ? 0 : -1;
      place.parentElement.setAttribute("aria-current", now);
    }
  }

  press(event) {
    const place = event.target.closest(".lk-point");
    if (!place || event.button) return;
    this.of = place.dataset.of;
    this.held = event.pointerId;
    place.setPointerCapture(event.pointerId);
    this.point(event);
    this.look();
    place.focus({ preventScroll: true });
  }

  point(event) {
    const box = this.place(this.of).getBoundingClientRect();
    const [width, height] = this.size;
    const at = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    this.points[this.of] = [limited(Math.floor(at[0]), width), limited(Math.floor(at[1]), height)];
    this.mark();
  }

  move(event) {
    const place = event.target.closest(".lk-point");
    const step = MOVES[event.key];
    if (!place || !step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey && place.dataset.of !== "reference") {
      const next = this.place(Number(place.dataset.of) + step[0] + step[1]);
      if (next) { this.of = next.dataset.of; this.look(); next.focus(); }
    } else {
      const [x, y] = this.of === place.dataset.of ? this.here() : (this.points[place.dataset.of] ?? this.middle());
      this.of = place.dataset.of;
      this.points[this.of] = [limited(x + step[0], this.size[0]), limited(y + step[1], this.size[1])];
    }
    this.mark();
  }

  middle() { return this.size.map((side) => Math.floor(side / 2)); }
  here() { return this.points[this.of] ?? this.middle(); }

  look() {
    if (this.of !== "reference") this.dispatchEvent(new CustomEvent("likeness-frame", { detail: Number(this.of) }));
  }

  // Where a point of a frame's grid lies after a displacement; null if that is not known.
  gone(flow, [x, y]) {
    const [right, down] = flow[y]?.[x] ?? [null, null];
    return right === null || down === null ? null : [limited(x + right, this.size[0]), limited(y + down, this.size[1])];
  }

  trusts(frame, [x, y]) { return this.found.trusted ? Boolean(this.found.trusted[frame][Math.round(y)][Math.round(x)]) : true; }

  mark() {
    for (const sign of this.querySelectorAll(".lk-point i")) sign.hidden = true;
    if (!this.found) { this.say(this.preface ?? ""); return; }
    this.sign(this.of, ".lk-ring", this.here());
    this.say(this.preface + (this.of === "reference" ? this.forward() : this.backward()));
    this.place(this.of).setAttribute("aria-label", `${this.of === "reference" ? "Reference" : `Frame ${Number(this.of) + 1}`}, ${named(this.here())}`);
  }

  say(words) {
    const said = this.querySelector(".lk-said");
    if (said.textContent !== words) said.textContent = words; // what has not changed is not read out again
  }

  forward() {
    const ends = this.found.from_reference.map((flow) => this.gone(flow, this.here()));
    ends.forEach((end, frame) => { if (end) this.sign(frame, ".lk-dot", end, this.trusts(frame, end)); });
    const trusted = ends.filter((end, frame) => end && this.trusts(frame, end)).length;
    return `From ${named(this.here())} of the reference; trusted in ${trusted} of ${ends.length} frames.`;
  }

  backward() {
    const frame = Number(this.of);
    const start = this.gone(this.found.to_reference[frame], this.here());
    if (!start) return `What is at ${named(this.here())} of frame ${frame + 1} has no match.`;
    const trusted = this.trusts(frame, this.here());
    this.sign("reference", ".lk-dot", start, trusted);
    return `What is at ${named(this.here())} of frame ${frame + 1} came from ${named(start.map(Math.round))} of the reference; ${trusted ? "" : "not "}trusted.`;
  }

  sign(of, which, [x, y], trusted = true) {
    const sign = this.place(of)?.querySelector(which);
    if (!sign) return;
    sign.hidden = false;
    sign.classList.toggle("lk-hollow", !trusted);
    Object.assign(sign.style, { left: `${(100 * (x + 0.5)) / this.size[0]}%`, top: `${(100 * (y + 0.5)) / this.size[1]}%` });
  }
}

customElements.define("likeness-matches", Matches);
