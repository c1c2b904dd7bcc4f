// The visitor's jobs, kept fresh by polling: `jobs` make clips, `trainings` make subjects, `courses` make adapters. Components
// subscribe; nothing here touches the page.

import { call, recall, remember } from "./api.js";
import { active } from "./words.js";
import { toast } from "./toast.js";

const BUSY = 350; // milliseconds between looks while something is drawn
const IDLE = 3000;
const HIDDEN = 5000;

const LISTS = { adapt: "trainings", "train-subjects": "courses", "train-face": "courses" };

export const state = { jobs: [], trainings: [], courses: [], selected: recall("selected"), offline: false, loaded: false };
const listeners = new Set();
let timer;

export function subscribe(listener) {
  listeners.add(listener);
  listener(state);
  return () => listeners.delete(listener);
}

const announce = () => listeners.forEach((listener) => listener(state));

const every = () => [...state.jobs, ...state.trainings, ...state.courses];
const listOf = (method) => LISTS[method] ?? "jobs";
export const trains = ({ method }) => method in LISTS;

export const find = (id) => every().find((job) => job.id === id);
export const selected = () => state.jobs.find((job) => job.id === state.selected) ?? null;
export const running = () => every().find((job) => job.state === "running");

export function select(id) {
  state.selected = id;
  remember("selected", id);
  announce();
}

// After a reload the running job comes first, then the clip looked at last, then the newest.
function settle() {
  const drawn = state.jobs.find((job) => job.state === "running") ?? state.jobs.find(active);
  if (!state.loaded && drawn) state.selected = drawn.id;
  if (!selected()) state.selected = state.jobs[0]?.id ?? null;
  state.loaded = true;
}

export async function refresh() {
  clearTimeout(timer);
  const answer = await call("studio/jobs");
  state.offline = Boolean(answer.offline);
  if (Array.isArray(answer)) {
    for (const list of ["jobs", "trainings", "courses"]) state[list] = answer.filter((job) => listOf(job.method) === list);
    settle();
  }
  announce();
  clearTimeout(timer); // another refresh may have begun while this one waited
  timer = setTimeout(refresh, document.hidden ? HIDDEN : every().some(active) ? BUSY : IDLE);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

async function act(id, action, body = {}) {
  const answer = await call(`studio/jobs/${id}/${action}`, body);
  if (answer.error) toast(answer.error, { tone: "bad" });
  return answer;
}

export async function stop(id) {
  await act(id, "cancel");
  await refresh();
}

export async function retry(id) {
  const answer = await act(id, "retry");
  await refresh();
  if (answer.id && !trains(find(answer.id) ?? {})) select(answer.id);
}

export async function move(id, position) {
  await act(id, "move", { position });
  await refresh();
}

export async function remove(id) {
  const answer = await act(id, "delete");
  if (answer.error) return;
  const index = state.jobs.findIndex((job) => job.id === id);
  const training = index < 0;
  if (state.selected === id) select((state.jobs[index + 1] ?? state.jobs[index - 1])?.id ?? null);
  await refresh();
  const undo = async () => { await act(id, "undo_delete"); await refresh(); if (!training) select(id); };
  toast(training ? "Training cleared." : "Clip deleted.", { action: "Undo", seconds: 10, run: undo });
}

export async function submit(method, settings, look = true) {
  const answer = await call("studio/jobs", { method, settings });
  if (answer.id) {
    await refresh();
    if (look && !trains({ method })) select(answer.id);
  }
  return answer;
}
