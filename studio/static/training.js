// What the model is learning right now: the loss, a sample picture from time to time, and what became of it.

import { call, media } from "./api.js";
import { fill } from "./form.js";
import { remove, retry, state, stop, subscribe } from "./jobs.js";
import { library, refreshLibrary } from "./library.js";
import { sparkline, use } from "./subjects.js";
import { active, duration, escape, fraction, icon } from "./words.js";

const EMPTY = `<div class="lk-message lk-empty"><svg viewBox="0 0 120 84" width="120" height="84" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
  <rect x="8" y="20" width="34" height="34" rx="8" opacity=".45"/><rect x="20" y="30" width="34" height="34" rx="8" opacity=".75"/><path d="M62 47h14m-5-5 5 5-5 5" stroke="var(--lk-lamp)"/><rect x="82" y="28" width="32" height="38" rx="9"/></svg>
  <b>Teach the model somebody</b><p>Add one to ten pictures of one subject, say what it is, and press Learn. Then it can be in any clip you ask for.</p></div>`;

const STORY = { failed: "This could not be learnt.", cancelled: "You stopped here.", interrupted: "The studio was closed while this was being learnt." };

class Training extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Training");
    this.pictures = {};
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.leave = subscribe(() => this.show());
  }

  disconnectedCallback() { this.leave?.(); }

  job() {
    return state.trainings.find((job) => job.state === "running") ?? state.trainings.find(active) ?? state.trainings[0] ?? null;
  }

  subject() {
    return library.subjects.find((one) => one.subject === this.job()?.request.folder);
  }

  act(button) {
    const job = this.job();
    if (!job || !button) return;
    const verbs = {
      stop: () => { button.disabled = true; stop(job.id); },
      retry: () => retry(job.id),
      clear: () => remove(job.id),
      reuse: () => fill("adapt", job.request),
      use: () => use(this.subject()),
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
      this.innerHTML = job ? (active(job) ? learning(job) : ended(job, this.subject())) : state.loaded ? `<div class="lk-screen">${EMPTY}</div>` : "";
      if (job && !active(job)) this.recount(job);
    }
    if (job && active(job)) this.advance(job);
  }

  // The sample pictures of a training that has ended, in the order in which they were drawn.
  async recount(job) {
    const seen = await call(`media/${job.id}/seen.json`);
    const place = this.querySelector("[data-part=samples]");
    const steps = seen.names?.find(({ name }) => name === "sample")?.steps ?? [];
    if (!place || place.dataset.job !== job.id) return;
    place.innerHTML = steps.map((step) => `<li><img alt="Sample after ${step} steps" src="${media(job.id, "seen.webp")}?name=sample&step=${step}&frame=0&side=160"/><span>${step}</span></li>`).join("");
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
    for (const name of job.previews) this.develop(job, name);
  }

  // The next picture takes the place of the last one only once it is there.
  develop(job, name) {
    const place = this.querySelector(`[data-part=${CSS.escape(name)}]`);
    const last = this.pictures[name];
    if (!place || last === job.preview_version || this.loading?.[name]) return;
    this.loading = { ...this.loading, [name]: true };
    const next = new Image();
    next.alt = name === "loss" ? "Loss so far" : "Sample picture";
    const over = () => { this.loading = { ...this.loading, [name]: false }; };
    next.onerror = over;
    next.onload = () => { over(); this.pictures[name] = job.preview_version; place.replaceChildren(next); place.hidden = false; };
    next.src = `${media(job.id, "preview.webp")}?name=${encodeURIComponent(name)}&v=${job.preview_version}`;
  }
}

const button = (what, label, drawn, extra = "") => `<button type="button" class="lk-button ${extra}" data-do="${what}">${drawn ? icon(drawn) : ""}<span>${label}</span></button>`;

const learning = (job) => `<div class="lk-screen lk-learning"><figure><div data-part="sample"><span class="lk-waiting" aria-hidden="true"><i></i><i></i><i></i></span></div><figcaption>What it has learnt so far</figcaption></figure>
  <figure><div data-part="loss"><span class="lk-waiting" aria-hidden="true"><i></i><i></i><i></i></span></div><figcaption>Loss: how far off it still is</figcaption></figure></div>
  <div class="lk-progress"><progress max="1" aria-label="Progress"></progress><p role="status"><b data-part="phase"></b><span data-part="count"></span><span data-part="left"></span></p>
  ${button("stop", job.state === "queued" ? "Cancel" : "Stop and keep", "stop", "lk-stop")}</div>${caption(job)}`;

function ended(job, subject) {
  const learnt = subject ? `<p>${escape(subject.name)} has learnt for ${subject.steps} steps and is in your library.</p>` : "";
  const title = job.state === "done" ? `${escape(subject?.name ?? job.request.name)} is ready.` : STORY[job.state];
  const error = job.state === "failed" ? `<p>${escape(job.error)}</p>` : "";
  const again = job.state === "failed" ? "Run again" : "Go on";
  const verbs = [subject ? button("use", "Use in a clip", "clip", "lk-primary") : "", job.state === "done" ? "" : button("retry", again, "retry"), button("reuse", "Reuse settings", "reuse"), button("clear", "Clear", "delete", "lk-quiet")];
  return `<div class="lk-screen"><div class="lk-message"><b>${title}</b>${error}${learnt}${subject ? sparkline(subject.losses, 320, 64) : ""}<ul class="lk-samples" data-part="samples" data-job="${job.id}" aria-label="Samples by step"></ul><div class="lk-row">${verbs.join("")}</div></div></div>${caption(job)}`;
}

function caption(job) {
  const r = job.request;
  const notes = (job.notes ?? []).map((note) => `<li>${escape(note)}</li>`).join("");
  const facts = [r.class_word, `${r.images.length} ${r.images.length === 1 ? "picture" : "pictures"}`, r.model, r.preset];
  if (job.state === "done" && job.started && job.finished) facts.push(`learnt in ${duration(job.finished - job.started)}`);
  return `<div class="lk-caption"><p class="lk-words">${escape(r.name)}</p><p class="lk-facts">${facts.map((fact) => `<span>${escape(fact)}</span>`).join("")}</p>${notes ? `<ul class="lk-notes">${notes}</ul>` : ""}</div>`;
}

customElements.define("likeness-training", Training);
