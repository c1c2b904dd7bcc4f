// An adapter that is being trained: the curves of its losses and gradients, sample clips as they come, and the way to use it.

import { useAdapter, usable } from "./adapters.js";
import { call, recall, remember } from "./api.js";
import { charts } from "./charts.js";
import { fillIn, titleOf } from "./form.js";
import { button, caption, goOn, Learning, over, progress, WAITING } from "./learning.js";
import { library } from "./library.js";
import { escape } from "./words.js";

const PATIENCE = 900; // milliseconds between two looks at the curves
const STORY = { failed: "This training broke off.", cancelled: "You stopped here.", interrupted: "The studio was closed while this was trained." };
const KINDS = { "train-subjects": "Subjects", "train-face": "Faces" };

class Course extends Learning {
  label = "Training of an adapter";
  list = "courses";
  empty = `<div class="lk-message lk-empty"><svg viewBox="0 0 120 84" width="120" height="84" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" aria-hidden="true">
  <path d="M12 12v60h96" opacity=".45"/><path d="M18 22c14 26 26 30 44 34s28 5 44 6" opacity=".75"/><path d="M18 36c16 18 30 16 46 24s28 2 42 6" stroke="var(--lk-lamp)"/></svg>
  <b>Train an adapter</b><p>It learns once, from many. Afterwards one picture is enough: of any subject, or of any face. Choose how long, and press Train.</p></div>`;

  verbs(job) {
    return {
      use: () => useAdapter(this.adapter()),
      reuse: () => { this.closest(".lk-panel").querySelector("likeness-courses")?.choose(job.method, false); fillIn(job.method, job.request); },
    };
  }

  adapter() { return library.adapters.find((one) => one.adapter === this.job()?.request.folder); }

  learning(job) {
    return `<div class="lk-screen lk-learning lk-course"><figure><div data-part="sample">${WAITING}</div><figcaption data-part="sampled">${job.request.sample_every ? `A sample comes every ${job.request.sample_every} steps` : "No samples are drawn"}</figcaption></figure>
      <div class="lk-charts" data-part="charts">${WAITING}</div></div>${progress(job)}<ul class="lk-samples" data-part="samples" data-job="${job.id}" aria-label="Samples by step"></ul>${this.about(job)}`;
  }

  develop(job) {
    this.picture(job, "sample", "Sample clip");
    if (job.previews.length && this.version !== `${job.id} ${job.preview_version}` && !this.asking) this.look(job);
  }

  async look(job) {
    this.asking = true;
    this.version = `${job.id} ${job.preview_version}`;
    await this.draw(job);
    const last = job.previews.includes("sample") ? await this.samples(job) : null;
    const words = this.querySelector("[data-part=sampled]");
    if (words && last !== null) words.textContent = `What it draws after ${last} steps`;
    setTimeout(() => { this.asking = false; }, PATIENCE);
  }

  async draw(job) {
    const curves = await call(`media/${job.id}/curves.json`);
    const place = this.querySelector("[data-part=charts]");
    const drawn = curves.error || this.job()?.id !== job.id ? "" : charts(curves);
    if (place && drawn) place.innerHTML = drawn;
    if (place) place.hidden = !drawn && !place.querySelector(".lk-waiting");
  }

  recount(job) {
    this.draw(job);
    this.samples(job);
  }

  ended(job) {
    const adapter = this.adapter();
    const where = !adapter ? "" : usable(adapter) ? "<p>What it has learnt is kept: try it on a picture.</p>" : "<p>What it has learnt is kept. The Face tab comes with the next start of the studio.</p>";
    const title = job.state === "done" ? `${escape(adapter?.name ?? named(job))} is ready.` : STORY[job.state];
    const use = adapter && usable(adapter) ? button("use", "Use in a clip", "clip", "lk-primary") : "";
    return over(job, title, `${where}<div class="lk-charts" data-part="charts" hidden></div>`, [use, goOn(job), button("reuse", "Reuse settings", "reuse"), button("clear", "Clear", "delete", "lk-quiet")]) + this.about(job);
  }

  about(job) {
    const { model, preset, steps, baseline } = job.request;
    return caption(job, named(job), [KINDS[job.method], titleOf(model), steps ? `${steps} steps` : preset, ...(baseline && baseline !== "dual-task" ? [baseline] : [])]);
  }
}

const named = (job) => job.request.name || `My ${KINDS[job.method].toLowerCase()}`;

// Which adapter is trained: one form stands for each kind.
class Courses extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "What is trained");
    const own = this.getAttribute("course");
    this.innerHTML = `<div class="lk-pick">${Object.entries(KINDS).map(([kind, title]) => `<button type="button" class="lk-chip" data-course="${kind}" aria-pressed="${kind === own}">${title}</button>`).join("")}</div>`;
    this.addEventListener("click", (event) => this.choose(event.target.closest("button")?.dataset.course));
    this.choose(recall("course") ?? "train-subjects", false);
  }

  choose(kind, focus = true) {
    const panel = this.closest(".lk-panel");
    if (!kind || !panel) return;
    remember("course", kind);
    panel.dataset.course = kind;
    if (focus) panel.querySelector(`likeness-courses[course="${kind}"] [data-course="${kind}"]`)?.focus();
  }
}

customElements.define("likeness-course", Course);
customElements.define("likeness-courses", Courses);
