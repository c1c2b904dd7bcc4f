// A line over the frames of a clip, and a point on it that says which frame is seen and can be moved. A frame without a value
// leaves a gap.

const STEPS = [0, 0.5, 1];

class Curve extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => {
      this.at(Number(event.target.value));
      this.dispatchEvent(new CustomEvent("likeness-frame", { detail: this.frame, bubbles: true }));
    });
  }

  // `values`: one number per frame, null where there is none; `label` says what they are.
  show(values, label) {
    Object.assign(this, { values, label, frame: null });
    const least = Math.min(0, ...values.filter(Number.isFinite));
    this.low = Math.min(0, Math.floor(2 * (least + 0.1)) / 2); // a hair below 0 is 0
    const marks = (this.low < 0 ? [this.low, ...STEPS] : STEPS).filter((mark, place, all) => all.indexOf(mark) === place);
    this.innerHTML = `<div class="lk-plot"><div class="lk-lines"><svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">${marks.map((mark) => `<path class="lk-mark" d="M0 ${this.down(mark)}H100"/>`).join("")}${this.gaps()}${this.line()}</svg>
      <i class="lk-at" hidden></i><b class="lk-on" hidden></b><input type="range" min="0" max="${values.length - 1}" step="1" value="0" aria-label="Frame"/></div>
      ${marks.map((mark) => `<span style="top: ${this.down(mark)}%">${mark}</span>`).join("")}</div><p class="lk-said"></p>`;
    this.at(0);
  }

  across(frame) { return this.values.length > 1 ? (100 * frame) / (this.values.length - 1) : 50 + 100 * frame; }
  down(value) { return 100 * (1 - (Math.min(Math.max(value, this.low), 1) - this.low) / (1 - this.low)); }

  // Each stretch of frames that have a value; one alone becomes a dot.
  line() {
    const place = (value, frame) => (Number.isFinite(value) ? `${this.across(frame).toFixed(2)},${this.down(value).toFixed(2)}` : "");
    const stretches = this.values.map(place).join(" ").split(/ {2,}/).map((words) => words.trim()).filter(Boolean);
    return stretches.map((words) => `<polyline points="${words.includes(" ") ? words : `${words} ${words}`}"/>`).join("");
  }

  // Frames without a value, shaded half-way to their neighbours.
  gaps() {
    const edge = (frame) => Math.min(Math.max(this.across(frame), 0), 100);
    return this.values.map((value, frame) => (Number.isFinite(value) ? "" : `<rect x="${edge(frame - 0.5)}" y="0" width="${edge(frame + 0.5) - edge(frame - 0.5)}" height="100"/>`)).join("");
  }

  at(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    const value = this.values[frame];
    const known = Number.isFinite(value);
    const input = this.querySelector("input");
    const words = `Frame ${frame + 1} of ${this.values.length}: ${known ? `${this.label} ${value.toFixed(2)}` : "no face"}`;
    input.value = frame;
    input.setAttribute("aria-valuetext", words);
    this.querySelector(".lk-said").textContent = words;
    const [line, point] = [this.querySelector(".lk-at"), this.querySelector(".lk-on")];
    line.hidden = false;
    point.hidden = !known;
    line.style.left = point.style.left = `${this.across(frame)}%`;
    if (known) point.style.top = `${this.down(value)}%`;
  }
}

customElements.define("likeness-curve", Curve);
