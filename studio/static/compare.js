// A clip beside its twin: the same request and seed with injection off. Two videos are played as one.

import { recall, remember } from "./api.js";
import { state, submit } from "./jobs.js";
import { toast } from "./toast.js";
import { active, escape, fraction, icon } from "./words.js";

let wanted = recall("compare"); // the job that is looked at beside its twin, also after a reload
let asking = false;

const FREE = new Set(["injection", "seed"]);
const seedOf = (job) => job.seed ?? job.request.seed;
const alike = (one, other) => [...new Set([...Object.keys(one), ...Object.keys(other)])].every((name) => FREE.has(name) || JSON.stringify(one[name]) === JSON.stringify(other[name]));

export const comparable = (job) => job.state === "done" && job.has_clip && seedOf(job) >= 0 && (job.request.injection ?? "off") !== "off";

// Of all that would do, the one that is furthest: done, or being drawn. Those that failed do not count.
function twinOf(job) {
  const same = (other) => other.method === job.method && other.request.injection === "off" && seedOf(other) === seedOf(job) && alike(other.request, job.request);
  const found = state.jobs.filter(same);
  return found.find((other) => other.state === "done" && other.has_clip) ?? found.find(active) ?? null;
}

// The twin to show beside a job, or null.
export function besides(job) {
  if (!comparable(job) || wanted !== job.id) return null;
  const twin = twinOf(job);
  return twin?.state === "done" ? twin : null;
}

export function stopComparing() {
  wanted = null;
  remember("compare", null);
}

export async function compare(job) {
  wanted = job.id;
  remember("compare", job.id);
  if (twinOf(job) || asking) return;
  asking = true;
  const answer = await submit(job.method, { ...job.request, injection: "off", seed: seedOf(job) }, false);
  asking = false;
  if (answer.error) { stopComparing(); toast(answer.error, { tone: "bad" }); }
}

// What stands among the clip's actions.
export function tools(job) {
  if (!comparable(job)) return "";
  const twin = twinOf(job);
  if (twin && active(twin)) {
    const where = twin.state === "queued" ? "waiting" : twin.step ? `step ${twin.step} of ${twin.total}` : "starting";
    return `<span class="lk-twin"><progress max="1" ${twin.total ? `value="${fraction(twin)}"` : ""} aria-label="Clip with injection off"></progress>Drawing it with injection off, ${escape(where)}</span>`;
  }
  if (besides(job)) return `<button type="button" class="lk-button" data-do="alone">${icon("clip")}<span>Back to one clip</span></button>`;
  return `<button type="button" class="lk-button" data-do="compare">${icon("pair")}<span>Compare with injection off</span></button>`;
}

const gap = (one, other) => {
  const apart = other.currentTime - one.currentTime;
  const whole = one.duration;
  return one.paused || !one.loop || !whole ? apart : ((((apart + whole / 2) % whole) + whole) % whole) - whole / 2; // round the corner of the loop
};

// What is done to either video happens to both, and they stay within half a `frame` (seconds). Returns how to end that.
export function together(first, second, frame) {
  const other = (video) => (video === first ? second : first);
  let rate = first.playbackRate;
  let eased = rate; // what the second one runs at to catch up
  let lag = 0; // how long a jump takes
  let jumping = false;
  const heard = {
    play: (video) => { if (other(video).paused) other(video).play().catch(() => {}); },
    pause: (video) => { if (!other(video).paused && !video.ended) other(video).pause(); },
    seeking: (video) => { if (!(jumping && video === second) && Math.abs(gap(video, other(video))) > frame / 2) other(video).currentTime = video.currentTime; },
    ratechange: (video) => {
      if (video.playbackRate === (video === first ? rate : eased)) return;
      rate = eased = video.playbackRate;
      first.playbackRate = second.playbackRate = rate;
    },
  };
  const hear = (event) => heard[event.type](event.target);
  const loops = new MutationObserver(([change]) => { if (other(change.target).loop !== change.target.loop) other(change.target).loop = change.target.loop; });
  for (const video of [first, second]) {
    for (const name of Object.keys(heard)) video.addEventListener(name, hear);
    loops.observe(video, { attributes: true, attributeFilter: ["loop"] });
  }

  const jump = () => {
    const began = performance.now();
    jumping = true;
    second.addEventListener("seeked", () => { jumping = false; lag = (performance.now() - began) / 1000; }, { once: true });
    const meeting = first.currentTime + lag * rate;
    second.currentTime = first.loop ? meeting % first.duration : Math.min(meeting, first.duration);
  };
  const ease = (speed) => { if (eased !== speed) second.playbackRate = eased = speed; };
  const follow = () => {
    watch = requestAnimationFrame(follow);
    if (first.paused || second.paused || first.seeking || second.seeking || !first.duration) return;
    const apart = gap(first, second);
    if (Math.abs(apart) > frame / 2) jump();
    else ease(Math.abs(apart) > frame / 16 ? rate * (1 - Math.max(-0.25, Math.min(0.25, apart / frame))) : rate);
  };
  let watch = requestAnimationFrame(follow);
  return () => {
    cancelAnimationFrame(watch);
    loops.disconnect();
    for (const video of [first, second]) for (const name of Object.keys(heard)) video.removeEventListener(name, hear);
  };
}

// Start both at once, when both can.
export async function start(first, second) {
  const ready = (video) => new Promise((done) => { if (video.readyState >= 3) done(); else video.addEventListener("canplay", done, { once: true }); });
  await Promise.all([ready(first), ready(second)]);
  if (first.isConnected) await first.play().catch(() => {});
}
