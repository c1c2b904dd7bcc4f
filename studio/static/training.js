// A subject that is being learnt: the loss, a sample picture from time to time, and what became of it.

import { button, caption, goOn, Learning, over, progress, WAITING } from "./learning.js";
import { library } from "./library.js";
import { sparkline, use } from "./subjects.js";
import { escape } from "./words.js";

const STORY = { failed: "This could not be learnt.", cancelled: "You stopped here.", interrupted: "The studio was closed while this was being learnt." };

class Training extends Learning {
  label = "Training";
  list = "trainings";
  still = true;
  empty = `<div class="lk-message lk-empty"><svg viewBox="0 0 120 84" width="120" height="84" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
  <rect x="8" y="20" width="34" height="34" rx="8" opacity=".45"/><rect x="20" y="30" width="34" height="34" rx="8" opacity=".75"/><path d="M62 47h14m-5-5 5 5-5 5" stroke="var(--lk-lamp)"/><rect x="82" y="28" width="32" height="38" rx="9"/></svg>
  <b>Teach the model somebody</b><p>Add one to ten pictures of one subject, say what it is, and press Learn. Then it can be in any clip you ask for.</p></div>`;

  subject() { return library.subjects.find((one) => one.subject === this.job()?.request.folder); }
  verbs() { return { use: () => use(this.subject()) }; }
  recount(job) { this.samples(job); }

  develop(job) {
    this.picture(job, "sample", "Sample picture");
    this.picture(job, "loss", "Loss so far");
  }

  learning(job) {
    return `<div class="lk-screen lk-learning"><figure><div data-part="sample">${WAITING}</div><figcaption>What it has learnt so far</figcaption></figure>
  <figure><div data-part="loss">${WAITING}</div><figcaption>Loss: how far off it still is</figcaption></figure></div>${progress(job)}${this.about(job)}`;
  }

  ended(job) {
    const subject = this.subject();
    const learnt = subject ? `<p>${escape(subject.name)} has learnt for ${subject.steps} steps and is in your library.</p>${sparkline(subject.losses, 320, 64)}` : "";
    const title = job.state === "done" ? `${escape(subject?.name ?? job.request.name)} is ready.` : STORY[job.state];
    return over(job, title, learnt, [subject ? button("use", "Use in a clip", "clip", "lk-primary") : "", goOn(job), button("reuse", "Reuse settings", "reuse"), button("clear", "Clear", "delete", "lk-quiet")]) + this.about(job);
  }

  about(job) {
    const { name, class_word: word, images, model, preset } = job.request;
    return caption(job, name, [word, `${images.length} ${images.length === 1 ? "picture" : "pictures"}`, model, preset]);
  }
}

customElements.define("likeness-training", Training);
