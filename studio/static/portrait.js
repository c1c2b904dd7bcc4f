// A clip of a person: how alike the face is to the photo's, on the whole and frame by frame.

import "./curve.js";
import { gauge } from "./gauge.js";

const portrayed = (job) => job?.method === "face" && job.state === "done" && job.has_clip;

const figures = ({ mean_likeness: mean, face_found: found }) => gauge({
  label: "Likeness", value: mean, help: "How alike the face is to the photo's, on average, to the recogniser that guides the clip: 1 is the same.",
}) + gauge({ label: "Frames with a face", value: found, said: `${Math.round(100 * found)} %`, help: "Those in which there is a face to compare." });

// Under the screen: both figures, and the likeness of every frame.
class Portrait extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
    this.addEventListener("likeness-frame", (event) => this.go(event.detail));
  }

  disconnectedCallback() { cancelAnimationFrame(this.following); }

  video() { return this.closest("likeness-stage").querySelector(".lk-screen video"); }

  look(job) {
    const key = portrayed(job) ? job.id : "";
    if (key === this.shown) return;
    this.shown = key;
    this.hidden = !key;
    cancelAnimationFrame(this.following);
    this.replaceChildren();
    if (!key) return;
    this.fps = job.request.fps || 8;
    const { likeness } = job.values ?? {};
    this.innerHTML = `<dl class="lk-gauges">${figures(job.values ?? {})}</dl>`;
    if (!likeness?.length) return;
    this.insertAdjacentHTML("beforeend", '<div><h3>Likeness of every frame</h3><p class="lk-how"></p><likeness-curve></likeness-curve></div>');
    this.querySelector(".lk-how").textContent = `The point goes along with the clip; move it to see a frame.${likeness.every(Number.isFinite) ? "" : " Where it is shaded, no face is seen."}`;
    this.curve = this.querySelector("likeness-curve");
    this.curve.show(likeness, "likeness");
    this.follow();
  }

  follow = () => {
    this.following = requestAnimationFrame(this.follow);
    const video = this.offsetParent && this.video();
    if (!video || video.seeking || video.readyState < 2) return;
    this.curve.at(Math.min(Math.floor(video.currentTime * this.fps + 1e-3), this.curve.values.length - 1));
  };

  go(frame) {
    const video = this.video();
    if (!video) return;
    video.pause();
    video.currentTime = (frame + 0.5) / this.fps;
  }
}

customElements.define("likeness-portrait", Portrait);
