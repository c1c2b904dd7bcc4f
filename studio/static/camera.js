// A clip from the camera: the picture live, a count-down, a button to stop. Nothing leaves the browser before it is stopped.

import { duration, icon } from "./words.js";

const LONGEST = 30; // seconds
const COUNT = 3;
const KINDS = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

const REFUSED = {
  NotAllowedError: "The camera was refused: allow it for this address in the browser, or choose a file.",
  NotFoundError: "No camera was found: connect one, or choose a file.",
  NotReadableError: "The camera is in use by another program: close that, or choose a file.",
};
const NONE = "This browser offers no camera here: open the studio over https or on its own machine, or choose a file.";

export class Camera {
  // `done(file)` gets what was recorded, null if nothing was; `failed(sentence)` says why there is no picture.
  constructor(place, done, failed) {
    Object.assign(this, { place, done, failed, chunks: [], timer: 0 });
    this.begin();
  }

  // What the button offers, as [icon, words].
  get offer() { return ["record", "Start recording"]; }
  get able() { return Boolean(window.MediaRecorder); }

  async begin() {
    if (!navigator.mediaDevices?.getUserMedia || !this.able) { this.failed(NONE); return; }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
    } catch (error) {
      this.failed(REFUSED[error.name] ?? "The camera cannot be used here: choose a file instead.");
      return;
    }
    if (this.over || !this.place.isConnected) { this.end(); return; }
    this.place.innerHTML = `<div class="lk-live"><video muted autoplay playsinline aria-label="What the camera sees"></video><b aria-live="assertive"></b></div>
      <div class="lk-row"><button type="button" class="lk-button lk-primary" data-camera="go"></button>
      <button type="button" class="lk-button" data-camera="leave"><span>Cancel</span></button></div>`;
    this.label(...this.offer);
    this.place.querySelector("video").srcObject = this.stream;
    this.place.onclick = (event) => this.press(event.target.closest("[data-camera]")?.dataset.camera);
    this.place.querySelector("[data-camera=go]").focus();
  }

  press(what) {
    if (what === "leave") { this.end(); this.done(null); }
    if (what === "go") (this.recorder ?? this.counting) ? this.stop() : this.count(COUNT);
  }

  say(words) { this.place.querySelector(".lk-live b").textContent = words; }

  count(left) {
    this.counting = true;
    this.label("stop", "Stop");
    this.say(left || "");
    if (left) this.timer = setTimeout(() => this.count(left - 1), 1000);
    else this.record();
  }

  record() {
    const kind = KINDS.find((one) => MediaRecorder.isTypeSupported(one));
    this.recorder = new MediaRecorder(this.stream, kind ? { mimeType: kind } : {});
    this.recorder.ondataavailable = (event) => this.chunks.push(event.data);
    this.recorder.onstop = () => this.finish();
    this.recorder.start(500);
    const began = performance.now();
    this.timer = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      this.say(`● ${duration(seconds)}`);
      if (seconds >= LONGEST) this.stop();
    }, 250);
  }

  label(drawn, words) { this.place.querySelector("[data-camera=go]").innerHTML = `${icon(drawn)}<span>${words}</span>`; }

  // During the count-down nothing has been recorded yet: back to the start.
  stop() {
    clearTimeout(this.timer);
    if (this.recorder) { if (this.recorder.state !== "inactive") this.recorder.stop(); return; }
    this.counting = false;
    this.say("");
    this.label(...this.offer);
  }

  finish() {
    const kind = this.recorder.mimeType.split(";")[0] || "video/webm";
    const cancelled = this.over;
    this.end();
    if (!cancelled) this.done(new File(this.chunks, `recording.${kind.endsWith("mp4") ? "mp4" : "webm"}`, { type: kind }));
  }

  end() {
    this.over = true;
    clearTimeout(this.timer);
    if (this.recorder?.state === "recording") this.recorder.stop();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.place.onclick = null;
    this.place.replaceChildren();
  }
}
