// A frame over the preview: the part of the picture that is used, in the shape of the clip that is drawn.

const STEP = 0.02;
const LEAST = 0.1;
const clamp = (share, low, high) => Math.min(Math.max(share, low), Math.max(low, high));

// "left,top,width,height" in shares of the picture; the middle of the picture for an empty word. `ratio` is the shape that is drawn
// over that of the picture; what sticks out of it is left out evenly.
export function boxOf(crop, ratio) {
  const shares = crop ? crop.split(",").map(Number) : [0, 0, 1, 1];
  let [left, top, width, height] = shares.length === 4 && shares.every(Number.isFinite) ? shares : [0, 0, 1, 1];
  const excess = width / height / ratio;
  if (excess > 1) { left += (width - width / excess) / 2; width /= excess; } else { top += (height - height * excess) / 2; height *= excess; }
  return { left, top, width, height };
}

export const wordOf = ({ left, top, width, height }) => [left, top, Math.min(width, 1 - left), Math.min(height, 1 - top)].map((share) => Math.max(0, Math.floor(share * 1e4) / 1e4)).join(",");

export class Cropper {
  // `changed(box)` is told after each move.
  constructor(frame, changed) {
    Object.assign(this, { frame, changed, ratio: 1, box: { left: 0, top: 0, width: 1, height: 1 } });
    frame.tabIndex = 0;
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", "Part of the picture that is used. Arrow keys move it, with Shift they change its size");
    frame.innerHTML = ["nw", "ne", "sw", "se"].map((corner) => `<i data-corner="${corner}"></i>`).join("");
    frame.addEventListener("pointerdown", (event) => this.begin(event));
    frame.addEventListener("keydown", (event) => this.keys(event));
  }

  show(crop, ratio) {
    if (this.dragging) return;
    this.ratio = ratio;
    this.place(boxOf(crop, ratio));
  }

  place(box) {
    this.box = box;
    for (const side of ["left", "top", "width", "height"]) this.frame.style[side] = `${100 * box[side]}%`;
    this.frame.classList.toggle("lk-low", box.height < 0.3);
  }

  // Its width, with the opposite corner held where it is; the height follows from the shape.
  sized(corner, width) {
    const [west, north] = [corner.includes("w"), corner.includes("n")];
    const { left, top, width: before, height: tall } = this.box;
    const [right, bottom] = [left + before, top + tall];
    const room = Math.min(west ? right : 1 - left, (north ? bottom : 1 - top) * this.ratio);
    const across = clamp(width, Math.min(room, Math.max(LEAST, LEAST * this.ratio)), room);
    const down = across / this.ratio;
    return { left: west ? right - across : left, top: north ? bottom - down : top, width: across, height: down };
  }

  moved(x, y) {
    const { left, top, width, height } = this.box;
    return { left: clamp(left + x, 0, 1 - width), top: clamp(top + y, 0, 1 - height), width, height };
  }

  begin(event) {
    const corner = event.target.dataset.corner;
    const whole = this.frame.parentElement.getBoundingClientRect();
    const from = { ...this.box, x: event.clientX, y: event.clientY };
    event.preventDefault();
    this.frame.focus({ preventScroll: true });
    this.frame.setPointerCapture(event.pointerId);
    this.dragging = true;
    const drag = (now) => {
      const [x, y] = [(now.clientX - from.x) / whole.width, (now.clientY - from.y) / whole.height];
      this.box = from;
      this.place(corner ? this.sized(corner, from.width + (corner.includes("w") ? -x : x)) : this.moved(x, y));
    };
    const over = () => {
      this.dragging = false;
      this.frame.removeEventListener("pointermove", drag);
      this.changed(this.box);
    };
    this.frame.addEventListener("pointermove", drag);
    this.frame.addEventListener("lostpointercapture", over, { once: true });
  }

  keys(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const larger = step[0] || step[1];
    this.place(event.shiftKey ? this.sized("se", this.box.width + STEP * larger) : this.moved(STEP * step[0], STEP * step[1]));
    this.changed(this.box);
  }
}
