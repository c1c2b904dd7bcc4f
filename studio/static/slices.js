// Clips beside each other, each with one column of its pixels over time; the column can be moved and is the same for all.

import { paint } from "./sheets.js";

export const SLICED = '<h3>One column over time</h3><p class="lk-how">Time goes to the right. What stands still gives straight lines, what moves draws its path.</p><likeness-slices></likeness-slices>';

const side = (label, index) => `<figure data-of="${index}"><div class="lk-cut"><canvas class="lk-whole" role="img" aria-label="${label}, with the column that is shown"></canvas><i></i></div>
  <canvas class="lk-slice" role="img" aria-label="The column of ${label.toLowerCase()} over time"></canvas><figcaption>${label}</figcaption></figure>`;

class Slices extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => { if (event.target.type === "range") this.move(event.target.value / 1000); });
    this.addEventListener("pointerdown", (event) => this.drag(event));
  }

  // `clips`: [label, number of frames, sheet of all frames] each.
  show(clips, ratio) {
    this.clips = clips;
    this.innerHTML = `<div class="lk-beside lk-slices" style="--ratio: ${ratio}">${clips.map(([label], index) => side(label, index)).join("")}</div>
      <label class="lk-column"><span>Column</span><span class="lk-track"><input type="range" min="0" max="1000" step="1" aria-label="Column"/></span></label>`;
    clips.forEach(([, frames, image], index) => paint(this.querySelector(`[data-of="${index}"] .lk-whole`), image, frames, Math.floor(frames / 2)));
    this.move(liveliest(clips[0][2], clips[0][1]));
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
    this.clips.forEach(([, frames, image], index) => cut(this.querySelector(`[data-of="${index}"] .lk-slice`), image, frames, share));
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

customElements.define("likeness-slices", Slices);
