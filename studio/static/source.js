// The clip whose motion is taken over: brought in from a file, the camera or the examples, then cut to the part that matters.

import { Camera } from "./camera.js";
import { fill, form, watch } from "./form.js";
import { addExample, addClip, clipOf, deleteClip, followLibrary, library, MOST_CLIPS } from "./library.js";
import { Part } from "./part.js";
import { bytes, duration, escape, icon } from "./words.js";

const LARGEST = 256 * 1024 * 1024;
const NOTHING = { source: "", start: 0, end: 0, crop: "", source_prompt: "" };

const FRAME = `<p class="lk-label">Source clip</p><div data-part="body"></div><p class="lk-refused" role="alert"></p>`;

const button = (what, label, drawn = what) => `<button type="button" class="lk-button" data-do="${what}">${icon(drawn)}<span>${label}</span></button>`;

class Source extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.examples ??= this.innerHTML;
    this.innerHTML = FRAME;
    this.body = this.querySelector("[data-part=body]");
    this.mode = ""; // "camera" and "upload" hide what is chosen for a while
    this.shown = null;
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do], .lk-example")));
    this.addEventListener("change", (event) => { if (event.target.type === "file") this.take([...event.target.files]); });
    this.leave = [followLibrary(() => this.show()), watch((method) => { if (method === this.method) this.show(); })];
  }

  disconnectedCallback() {
    this.leave?.forEach((leave) => leave());
    this.camera?.end();
    this.sending?.cancel();
    this.cutter?.end();
  }

  values() { return form(this.method).values; }
  chosen() { return this.mode ? null : clipOf(this.values().source); }

  act(pressed) {
    if (!pressed) return;
    const clip = library.clips.find((one) => one.id === pressed.closest("[data-clip]")?.dataset.clip) ?? this.chosen();
    const verbs = {
      record: () => this.record(),
      cancel: () => this.sending?.cancel(),
      choose: () => this.choose(clip),
      replace: () => this.choose(null),
      remove: () => this.remove(clip),
    };
    this.say("");
    if (pressed.matches(".lk-example")) this.copy(pressed.dataset.file);
    else verbs[pressed.dataset.do]?.();
  }

  say(sentence) { this.querySelector(".lk-refused").textContent = sentence; }

  choose(clip) {
    this.turn("");
    fill(this.method, clip ? { ...NOTHING, source: clip.source, source_prompt: clip.words ?? "" } : NOTHING);
  }

  turn(mode) {
    this.mode = mode;
    this.show();
  }

  record() {
    this.turn("camera");
    const over = (sentence) => { this.camera = null; this.turn(""); this.say(sentence); };
    this.camera = new Camera(this.body, (file) => { over(""); if (file) this.take([file]); }, over);
  }

  async take([file]) {
    if (!file || this.mode === "upload") return;
    this.camera?.end();
    this.camera = null;
    if (file.size > LARGEST) { this.say(`${file.name} is larger than 256 MB: choose a shorter clip, or save it smaller.`); return; }
    this.say("");
    this.turn("upload");
    this.sending = addClip(file, (sent) => this.advance(sent, file));
    this.body.innerHTML = `<div class="lk-sending"><p role="status"><b>${escape(file.name)}</b> <span></span></p><progress max="1"></progress>${button("cancel", "Cancel", "stop")}</div>`;
    this.advance(0, file);
    const answer = await this.sending.answer;
    this.sending = null;
    this.turn("");
    if (answer.error) this.say(answer.error);
    else if (answer.source) this.choose(answer);
  }

  advance(sent, file) {
    const bar = this.body.querySelector("progress");
    if (!bar) return;
    if (sent < 1) bar.value = sent; else bar.removeAttribute("value");
    this.body.querySelector("span").textContent = sent < 1 ? `${Math.round(100 * sent)} % of ${bytes(file.size)}` : "Looking at it";
  }

  async copy(file) {
    const answer = await addExample(file);
    if (answer.error) this.say(answer.error);
    else this.choose(answer);
  }

  async remove(clip) {
    const chosen = this.chosen() === clip;
    const held = Object.fromEntries(Object.keys(NOTHING).map((name) => [name, this.values()[name]]));
    const answer = await deleteClip(clip, () => { if (chosen && !this.values().source) fill(this.method, held); });
    if (answer.error) this.say(answer.error);
    else if (chosen) fill(this.method, NOTHING);
  }

  show() {
    if (this.mode) { this.shown = this.mode; return; }
    if (library.loaded && this.values().source && !clipOf(this.values().source)) { fill(this.method, NOTHING); return; } // deleted, or somebody else's
    const clip = this.chosen();
    const now = clip ? clip.id : JSON.stringify([library.loaded, library.clips.map((one) => one.id)]);
    if (now !== this.shown) {
      this.shown = now;
      this.cutter?.end();
      this.cutter = null;
      this.body.innerHTML = clip ? chosen(clip) : library.loaded ? this.choice() : "";
      if (clip) this.cutter = new Part(this.body, clip, this.method);
    }
    this.cutter?.show(this.values());
  }

  choice() {
    const { clips } = library;
    const kept = clips.map((one) => `<li data-clip="${one.id}"><button type="button" class="lk-chip" data-do="choose" title="${escape(facts(one).join(", "))}"><img alt="" src="studio/clips/${one.id}/strip.webp"/><span>${escape(one.name)}</span></button>
      <button type="button" class="lk-icon" data-do="remove" aria-label="Delete ${escape(one.name)}" title="Delete">${icon("delete")}</button></li>`);
    return `<label class="lk-drop"><input type="file" accept="video/*,image/gif,.mkv,.avi"/>${icon("add")}<span><b>Add a clip</b> to take its motion over: drop it here or browse. What it shows is left behind.</span></label>
      <div class="lk-row lk-bring">${button("record", "Record with the camera", "record")}</div>
      ${clips.length ? `<p class="lk-label">Your source clips <span class="lk-count">${clips.length} of ${MOST_CLIPS}</span></p><ul class="lk-kept">${kept.join("")}</ul>` : ""}
      ${this.examples ? `<p class="lk-label">${clips.length ? "Or try" : "Try"} one of these</p><div class="lk-try">${this.examples}</div>` : ""}`;
  }
}

const facts = (clip) => [duration(clip.seconds), `${clip.width} × ${clip.height}`, `${Math.round(clip.fps * 10) / 10} per second`];

const chosen = (clip) => `<div class="lk-player" style="--ratio: ${clip.width / clip.height}"><video muted loop playsinline aria-label="${escape(clip.name)}"></video><div class="lk-frame"></div></div>
  <p class="lk-facts lk-of-clip"><b>${escape(clip.name)}</b>${facts(clip).map((fact) => `<span>${fact}</span>`).join("")}</p>
  <div class="lk-trim"><img alt="" src="studio/clips/${clip.id}/strip.webp"/><i></i>
    <input type="range" data-part="start" aria-label="From" step="0.05" min="0" max="${clip.seconds}"/><input type="range" data-part="end" aria-label="To" step="0.05" min="0" max="${clip.seconds}"/></div>
  <div class="lk-span"><label>From <input type="number" data-field="start" min="0" max="${clip.seconds}" step="0.1"/> s</label><label>To <input type="number" data-field="end" min="0" max="${clip.seconds}" step="0.1"/> s</label></div>
  <p class="lk-uses" role="status"></p>
  <div class="lk-row lk-bring"><button type="button" class="lk-button" data-part="play">${icon("clip")}<span>Play</span></button>
    <button type="button" class="lk-button" data-part="reset">${icon("turn")}<span>Reset</span></button>${button("replace", "Replace", "reuse")}
    <button type="button" class="lk-icon" data-do="remove" aria-label="Remove ${escape(clip.name)}" title="Remove">${icon("delete")}</button></div>
  <div class="lk-moves" aria-busy="true"><figure><div><img data-part="tracks" alt="The motion of this part, as tracks"/></div><figcaption>Its motion</figcaption></figure>
    <figure><div><img data-part="slice" alt="One column of pixels over time"/></div><figcaption>One column over time</figcaption></figure><p role="status"></p></div>`;

customElements.define("likeness-source", Source);
