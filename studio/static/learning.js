// What the model is learning right now, and what became of it. What is shown of it, its subclass says:
//   label; list: whose jobs, see `jobs.js`; empty: a screen without any; learning(job), ended(job): screens; verbs(job, button)
//   develop(job): called whenever there is news of a running one; recount(job): fills in the screen of one that has ended

import { call, media } from "./api.js";
import { fillIn } from "./form.js";
import { remove, retry, state, stop, subscribe } from "./jobs.js";
import { refreshLibrary } from "./library.js";
import { active, duration, escape, fraction, icon } from "./words.js";

export class Learning extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", this.label);
    this.pictures = {};
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.leave = subscribe(() => this.show());
  }

  disconnectedCallback() { this.leave?.(); }

  job() {
    const jobs = state[this.list];
    return jobs.find((job) => job.state === "running") ?? jobs.find(active) ?? jobs[0] ?? null;
  }

  act(button) {
    const job = this.job();
    if (!job || !button) return;
    const verbs = {
      stop: () => { button.disabled = true; stop(job.id); },
      retry: () => retry(job.id),
      clear: () => remove(job.id),
      reuse: () => fillIn(job.method, job.request),
      ...this.verbs(job),
    };
    verbs[button.dataset.do]?.();
  }

  async show() {
    const job = this.job();
    const now = job ? `${job.id} ${job.state}` : state.loaded ? "empty" : "loading";
    if (now !== this.shown) {
      const before = this.shown;
      this.shown = now;
      this.dataset.state = job?.state ?? now;
      this.pictures = {};
      if (before && job && !active(job)) await refreshLibrary();
      this.innerHTML = job ? (active(job) ? this.learning(job) : this.ended(job)) : state.loaded ? `<div class="lk-screen">${this.empty}</div>` : "";
      if (job && !active(job)) this.recount(job);
    }
    if (job && active(job)) this.advance(job);
  }

  // Every sample of a training, in the order in which they were drawn; answers the step of the last one.
  async samples(job) {
    const seen = await call(`media/${job.id}/seen.json`);
    const place = this.querySelector("[data-part=samples]");
    const steps = seen.names?.find(({ name }) => name === "sample")?.steps ?? [];
    if (!place || place.dataset.job !== job.id) return null;
    const known = new Set([...place.children].map((item) => Number(item.dataset.step)));
    place.insertAdjacentHTML("beforeend", steps.filter((step) => !known.has(step)).map((step) => sample(job, step, this.still)).join(""));
    return steps.at(-1) ?? null;
  }

  advance(job) {
    const text = (name, words) => {
      const part = this.querySelector(`[data-part=${name}]`);
      if (part && part.textContent !== words) part.textContent = words;
    };
    text("phase", job.stopping ? "Stopping" : job.state === "queued" ? (job.position > 0 ? `Waiting, ${job.position} ahead` : "Next in line") : job.phase ? job.phase[0].toUpperCase() + job.phase.slice(1) : "Starting");
    text("count", job.total ? `${job.step} / ${job.total}` : "");
    text("left", job.seconds_left == null ? "" : `${duration(job.seconds_left)} left`);
    const bar = this.querySelector("progress");
    if (bar && job.total) bar.value = fraction(job);
    else bar?.removeAttribute("value");
    this.develop(job);
  }

  // The next picture takes the place of the last one only once it is there.
  picture(job, name, words) {
    const place = this.querySelector(`[data-part=${CSS.escape(name)}]`);
    const last = this.pictures[name];
    if (!place || !job.previews.includes(name) || last === job.preview_version || this.loading?.[name]) return;
    this.loading = { ...this.loading, [name]: true };
    const next = new Image();
    next.alt = words;
    const over = () => { this.loading = { ...this.loading, [name]: false }; };
    next.onerror = over;
    next.onload = () => { over(); this.pictures[name] = job.preview_version; place.replaceChildren(next); place.hidden = false; };
    next.src = `${media(job.id, "preview.webp")}?name=${encodeURIComponent(name)}&v=${job.preview_version}`;
  }
}

const sample = (job, step, still) => `<li data-step="${step}"><img alt="Sample after ${step} steps" src="${media(job.id, "seen.webp")}?name=sample&step=${step}${still ? "&frame=0" : ""}&side=160"/><span>${step}</span></li>`;

export const WAITING = '<span class="lk-waiting" aria-hidden="true"><i></i><i></i><i></i></span>';

export const button = (what, label, drawn, extra = "") => `<button type="button" class="lk-button ${extra}" data-do="${what}">${drawn ? icon(drawn) : ""}<span>${label}</span></button>`;

export const progress = (job) => `<div class="lk-progress"><progress max="1" aria-label="Progress"></progress><p role="status"><b data-part="phase"></b><span data-part="count"></span><span data-part="left"></span></p>
  ${button("stop", job.state === "queued" ? "Cancel" : "Stop and keep", "stop", "lk-stop")}</div>`;

// Of a training that has ended: what came of it, in words and markup, and what can be done now.
export const over = (job, title, body, verbs) => `<div class="lk-screen"><div class="lk-message"><b>${title}</b>${job.state === "failed" ? `<p>${escape(job.error)}</p>` : ""}${body}
  <ul class="lk-samples" data-part="samples" data-job="${job.id}" aria-label="Samples by step"></ul><div class="lk-row">${verbs.join("")}</div></div></div>`;

export const goOn = (job) => (job.state === "done" ? "" : button("retry", job.state === "failed" ? "Run again" : "Go on", "retry"));

export function caption(job, name, facts) {
  const notes = (job.notes ?? []).map((note) => `<li>${escape(note)}</li>`).join("");
  const took = job.state === "done" && job.started && job.finished ? [`learnt in ${duration(job.finished - job.started)}`] : [];
  return `<div class="lk-caption"><p class="lk-words">${escape(name)}</p><p class="lk-facts">${[...facts, ...took].map((fact) => `<span>${escape(fact)}</span>`).join("")}</p>${notes ? `<ul class="lk-notes">${notes}</ul>` : ""}</div>`;
}
