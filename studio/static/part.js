// The part of a source clip that is used: played, cut in time and in the picture, and its motion shown before anything is drawn.

import { address } from "./api.js";
import { Cropper, wordOf } from "./crop.js";
import { fill } from "./form.js";

const LEAST = 0.1; // seconds
const PLAYED = 10; // seconds that the server puts into a preview
const PATIENCE = 500; // milliseconds after a change before its motion is asked for
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const rounded = (seconds) => Math.round(seconds * 100) / 100;

// Second of a clip at which its preview begins: that of a long clip begins where its part does.
export const originOf = (clip, start) => (clip.seconds <= PLAYED ? 0 : Math.floor(10 * Math.min(start, clip.seconds - 1)) / 10);
export const previewOf = (clip, origin) => address(`studio/clips/${clip.id}/preview.mp4?start=${origin}`);

export class Part {
  constructor(place, clip, method) {
    Object.assign(this, { place, clip, method, asked: "", origin: null });
    this.find = (name) => place.querySelector(`[data-part=${name}]`);
    this.video = place.querySelector("video");
    this.cropper = new Cropper(place.querySelector(".lk-frame"), (box) => this.tell({ crop: wordOf(box) }));
    for (const name of ["start", "end"]) {
      this.find(name).addEventListener("input", (event) => this.move(name, Number(event.target.value)));
      const field = place.querySelector(`[data-field=${name}]`);
      field.addEventListener("input", () => { field.typing = true; });
      field.addEventListener("change", () => { field.typing = false; this.move(name, field.valueAsNumber); });
    }
    this.find("play").addEventListener("click", () => (this.video.paused ? this.play() : this.video.pause()));
    this.find("reset").addEventListener("click", () => this.tell({ start: 0, end: 0, crop: "" }));
    const label = this.find("play").querySelector("span");
    for (const name of ["play", "pause"]) this.video.addEventListener(name, () => { label.textContent = this.video.paused ? "Play" : "Pause"; });
    this.video.addEventListener("loadeddata", () => { this.loop(true); if (!calm.matches) this.play(); });
    this.video.addEventListener("error", () => { if (this.video.getAttribute("src")) this.failed(this.video.src); });
    this.watch = setInterval(() => this.loop(), 60);
  }

  end() {
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.asking?.abort();
    this.video.removeAttribute("src");
  }

  play() { this.video.play().catch(() => {}); }

  tell(change) {
    fill(this.method, change);
  }

  // Seconds of the source that the clip that is drawn is long.
  needed() { return (this.values.frames || 1) / (this.values.fps || 8); }

  span() {
    const { start = 0, end = 0 } = this.values;
    return [start, end > start ? Math.min(end, this.clip.seconds) : Math.min(this.clip.seconds, start + this.needed())];
  }

  move(name, seconds) {
    const [start, end] = this.span();
    const { seconds: whole } = this.clip;
    if (!Number.isFinite(seconds)) { this.show(this.values); return; }
    if (name === "start") {
      const from = rounded(Math.min(Math.max(seconds, 0), Math.max(0, (this.values.end > 0 ? end : whole) - LEAST)));
      this.tell({ start: from });
    } else this.tell({ end: rounded(Math.min(Math.max(seconds, start + LEAST), whole)) });
  }

  show(values) {
    this.values = values;
    const [start, end] = this.span();
    const whole = this.clip.seconds;
    for (const [name, seconds] of [["start", start], ["end", end]]) {
      const field = this.place.querySelector(`[data-field=${name}]`);
      this.find(name).value = seconds;
      this.find(name).setAttribute("aria-valuetext", `${seconds.toFixed(1)} s`);
      if (!field.typing) field.value = rounded(seconds);
    }
    const trim = this.place.querySelector(".lk-trim");
    trim.style.setProperty("--from", start / whole);
    trim.style.setProperty("--to", end / whole);
    trim.style.setProperty("--used", Math.min(end, start + this.needed()) / whole);
    const word = this.uses(start, end);
    const place = this.place.querySelector(".lk-uses");
    if (place.textContent !== word) place.textContent = word;
    this.find("reset").disabled = !values.start && !values.end && !values.crop;
    this.cropper.show(values.crop, values.width / values.height / (this.clip.width / this.clip.height));
    this.load(start);
    this.ask();
  }

  uses(start, end) {
    const need = this.needed();
    const { frames, fps } = this.values;
    if (end - start < need - 0.75 / fps) return `This part is shorter than the clip that is drawn (${need.toFixed(1)} s): its last picture is held.`;
    return `${need.toFixed(1)} s are used: ${frames} frames at ${fps} per second.`;
  }

  load(start) {
    const origin = originOf(this.clip, start);
    if (origin === this.origin) return;
    const first = this.origin === null;
    this.origin = origin;
    clearTimeout(this.loading);
    this.loading = setTimeout(() => { this.video.src = previewOf(this.clip, origin); }, first ? 0 : PATIENCE);
  }

  // Play from where the part begins to where it ends, again and again.
  loop(from = false) {
    if (!this.values || this.video.readyState < 2) return;
    const [start, end] = this.span();
    const [first, last] = [Math.max(start - this.origin, 0), Math.min(end, start + this.needed()) - this.origin];
    const now = this.video.currentTime;
    if (from || now < first - 0.1 || (!this.video.paused && now >= Math.max(last, first + 0.1))) this.video.currentTime = Math.min(first, Math.max(this.video.duration - 0.05, 0));
  }

  ask() {
    const names = ["start", "end", "crop", "frames", "fps", "width", "height"];
    const query = new URLSearchParams(names.filter((name) => this.values[name] != null && this.values[name] !== "").map((name) => [name, this.values[name]])).toString();
    if (query === this.asked) return;
    const first = !this.asked;
    this.asked = query;
    clearTimeout(this.timer);
    this.asking?.abort();
    this.timer = setTimeout(() => this.draw(query), first ? 0 : PATIENCE);
  }

  async draw(query) {
    const moves = this.place.querySelector(".lk-moves");
    const say = (words) => { moves.querySelector("p").textContent = words; };
    this.asking = new AbortController();
    moves.setAttribute("aria-busy", "true");
    say("Looking at its motion");
    for (const name of ["tracks", "slice"]) {
      const answer = await get(`studio/clips/${this.clip.id}/${name}.webp?${query}`, this.asking.signal);
      if (answer.gone || query !== this.asked) return;
      if (answer.error) { say(answer.error); moves.setAttribute("aria-busy", "false"); return; }
      const image = this.find(name);
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(answer.picture);
    }
    say("");
    moves.setAttribute("aria-busy", "false");
  }

  async failed(source) {
    const answer = await get(source);
    if (answer.error) this.place.querySelector(".lk-uses").textContent = answer.error;
  }
}

// {picture}, {error: "one sentence"}, or {gone} if it is not wanted any more.
async function get(path, signal) {
  try {
    const answer = await fetch(path.startsWith("studio/") ? address(path) : path, { credentials: "same-origin", signal });
    return answer.ok ? { picture: await answer.blob() } : await answer.json();
  } catch (error) {
    return error.name === "AbortError" ? { gone: true } : { error: "The studio does not answer; check that it is still running, then try again." };
  }
}
