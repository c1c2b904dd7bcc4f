// Pictures of steps: all frames of a step come in one sheet, which is fetched once and painted frame by frame.

import { media } from "./api.js";

const MOST = 96; // sheets that stay in memory
const kept = new Map(); // address -> promise of an image, the one used last at the end

export function sheet(job, name, step, side) {
  const address = `${media(job, "seen.webp")}?name=${encodeURIComponent(name)}&step=${step}&frame=all&side=${side}`;
  const found = kept.get(address) ?? load(address);
  kept.delete(address);
  kept.set(address, found);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return found;
}

// Decoded before it is handed out, so that painting never waits; null if there is no such picture any more.
async function load(address) {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
    return image;
  } catch {
    kept.delete(address);
    return null;
  }
}

// `frames` is how many there are in the sheet; a picture of one frame shows it whatever `frame` is asked for.
export function paint(canvas, image, frames, frame) {
  const columns = Math.ceil(Math.sqrt(frames));
  const width = image.naturalWidth / columns;
  const height = image.naturalHeight / Math.ceil(frames / columns);
  const index = Math.min(frame, frames - 1);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(image, (index % columns) * width, Math.floor(index / columns) * height, width, height, 0, 0, width, height);
}
