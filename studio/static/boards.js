// What a board consists of: where each of its shots comes from, and the film that they are cut to.

import { media, recall, remember } from "./api.js";
import { state, submit } from "./jobs.js";
import { anchorsOf } from "./project.js";
import { toast } from "./toast.js";
import { active } from "./words.js";

const METHOD = "storyboard";
const CUTS = 40; // films that stay in mind

export const isBoard = (job) => job?.method === METHOD;
export const anchors = (job) => anchorsOf(job.request.shots, job.request.anchors);
const finished = (job) => job.values?.shots ?? [];
const wanted = (job) => (job.request.only?.length ? job.request.only : job.request.shots.map((_, number) => number));

const keys = new Map(); // of a job and a shot, whose request never changes

// All that a shot depends on: settings, the anchors, and its own words and seed.
function key(job, number) {
  const name = `${job.id} ${number}`;
  if (!keys.has(name)) keys.set(name, keyOf(job, number));
  return keys.get(name);
}

function keyOf(job, number) {
  const { shots, only, folder, seed, together, anchors: chosen, ...settings } = job.request;
  const first = anchors(job).map((one) => shots[one]);
  return JSON.stringify([settings, first, anchors(job).indexOf(number), shots[number], number]);
}

// For each shot of a board {job, state}: done here or, with all that it depends on, in another board; else running, waiting or missing.
export function sources(job) {
  return job.request.shots.map((_, number) => {
    if (finished(job).includes(number)) return { job, state: "done" };
    if (!active(job) || !wanted(job).includes(number)) {
      const own = key(job, number);
      const other = state.jobs.find((one) => isBoard(one) && one !== job && finished(one).includes(number) && key(one, number) === own);
      if (other) return { job: other, state: "done" };
    }
    return { job, state: job.state === "running" ? "running" : job.state === "queued" ? "waiting" : "missing" };
  });
}

export const missing = (job) => sources(job).flatMap((source, number) => (source.state === "missing" ? [number] : []));

// --- the film ---

const whole = (job) => sources(job).flatMap((source, number) => (source.state === "done" ? [number] : []));

// The numbers of its shots, in its order.
export function cut(job) {
  const all = whole(job);
  const chosen = (recall("cuts") ?? {})[job.id]?.filter((number) => all.includes(number));
  return chosen?.length ? chosen : all;
}

export function setCut(job, numbers) {
  const { [job.id]: before, ...others } = recall("cuts") ?? {};
  const plain = String(numbers) === String(whole(job));
  remember("cuts", Object.fromEntries([...Object.entries(others).slice(1 - CUTS), ...(plain ? [] : [[job.id, numbers]])]));
}

// Whether the film is the clip that the job made.
export const isClip = (job) => job.has_clip && String(cut(job)) === String(finished(job));

export function filmOf(job) {
  if (isClip(job)) return media(job.id, "clip.mp4");
  const found = sources(job);
  const shots = cut(job).map((number) => (found[number].job === job ? number + 1 : `${found[number].job.id}:${number + 1}`));
  return shots.length ? `${media(job.id, "film.mp4")}?cut=${shots.join(",")}` : "";
}

export const shotFile = (job, number, alone = false) => media(job.id, `shot-${number + 1}${alone ? "-alone" : ""}.mp4`);
export const saved = (path) => `${path}${path.includes("?") ? "&" : "?"}download=1`;

// --- drawing again ---

const anySeed = () => Math.floor(Math.random() * 2 ** 31);

// One shot with another seed; of an anchor, which the others look at, the whole board.
export async function drawAgain(job, number) {
  const shots = job.request.shots.with(number, { ...job.request.shots[number], seed: anySeed() });
  await order({ ...job.request, shots, only: anchors(job).includes(number) ? [] : [number] });
}

export const drawRest = (job) => order({ ...job.request, only: missing(job) });

async function order(request) {
  const answer = await submit(METHOD, request);
  if (answer.error) toast(answer.error, { tone: "bad" });
}
