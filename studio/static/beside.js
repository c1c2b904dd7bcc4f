// A finished clip beside the picture that it was drawn from: a person's face, or what a picture shows.

import { media, recall, remember } from "./api.js";
import { escape, icon } from "./words.js";

const SIDE = 512;
const PICTURES = {
  face: { name: "face for reference", label: "Photo", alt: "The face in the photo" },
  "subject-from-image": { name: "reference", label: "Picture", alt: "The picture, as the model sees it" },
};
const lost = new Set(); // jobs whose steps are not kept any more, and with them the picture

let beside = recall("face.beside") ?? true;

const hasPicture = (job) => job.method in PICTURES && job.state === "done" && job.has_clip && job.request.use_reference !== false && !lost.has(job.id);

export const besidePicture = (job) => hasPicture(job) && beside;

export function turnPicture() {
  beside = !beside;
  remember("face.beside", beside);
}

export const pictureTool = (job) => (hasPicture(job) ? `<button type="button" class="lk-chip lk-tall" data-do="photo" aria-pressed="${beside}">${icon("pair")}${PICTURES[job.method].label} beside it</button>` : "");

// The screen of a finished job.
export function pictureScene(job) {
  const { name, label, alt } = PICTURES[job.method];
  return `<div class="lk-screen lk-twins lk-portrayed"><figure><img alt="${alt}" src="${media(job.id, "seen.webp")}?name=${encodeURIComponent(name)}&step=0&frame=0&side=${SIDE}"/><figcaption>${label}</figcaption></figure>
  <figure><video src="${media(job.id, "clip.mp4")}" poster="${media(job.id, "poster.webp")}" loop muted controls playsinline preload="auto" aria-label="${escape(job.request.prompt)}"></video><figcaption>Result</figcaption></figure></div>`;
}

// Tells `then` if the picture of a job cannot be shown.
export function withoutPicture(stage, job, then) {
  stage.querySelector(".lk-portrayed img")?.addEventListener("error", () => { lost.add(job.id); then(); });
}
