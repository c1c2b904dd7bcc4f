// Which pictures there are of a job's steps, asked once for every change.

import { call } from "./api.js";
import { active } from "./words.js";

const MOST = 48;
const kept = new Map(); // job -> {key, index}

// Name -> {name, kind, steps, frames, ...}; empty where nothing is kept.
export async function indexOf(job) {
  const key = active(job) ? job.preview_version : job.state;
  const known = kept.get(job.id);
  if (known?.key === key) return known.index;
  const answer = job.state === "queued" ? {} : await call(`media/${encodeURIComponent(job.id)}/seen.json`);
  if (answer.offline) return known?.index ?? new Map();
  const index = new Map((answer.names ?? []).map((named) => [named.name, named]));
  kept.delete(job.id);
  kept.set(job.id, { key, index });
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return index;
}
