// A dialog to choose a clip in: one's own, one that was made here, an example, or a file.

import { media } from "./api.js";
import { dropTarget, keptList } from "./bring.js";
import { CLIPS, facts, strip } from "./clipfacts.js";
import { state } from "./jobs.js";
import { clips, keepMade, library } from "./library.js";
import { escape, icon, saidIn } from "./words.js";

const MOST = 12; // of the clips that were made here, the newest

export class ClipChoice {
  constructor(dialog, examples) {
    Object.assign(this, { dialog, examples });
    dialog.addEventListener("click", (event) => this.act(event.target.closest("[data-do], .lk-example")));
    dialog.addEventListener("change", (event) => { if (event.target.files?.length) this.end({ files: [...event.target.files] }); });
    dialog.addEventListener("close", () => this.end({}));
  }

  // {files}, a clip, {error}, or {} if nothing is chosen.
  ask(title) {
    this.dialog.setAttribute("aria-label", title);
    this.title = title;
    this.show();
    this.dialog.showModal();
    return new Promise((done) => { this.done = done; });
  }

  end(chosen) {
    const { done } = this;
    this.done = null;
    this.dialog.close();
    done?.(chosen);
  }

  async act(pressed) {
    if (!pressed) return;
    const piece = library.clips.find((one) => one.id === pressed.closest("[data-piece]")?.dataset.piece);
    if (pressed.dataset.file) this.end(await clips.example(pressed.dataset.file));
    else if (pressed.dataset.do === "close") this.end({});
    else if (pressed.dataset.do === "made") this.end(await keepMade(pressed.dataset.job, "clip.mp4"));
    else if (pressed.dataset.do === "choose") this.end(piece);
    else if (pressed.dataset.do === "remove") { await clips.remove(piece, () => {}); this.show(); }
  }

  show() {
    const made = state.jobs.filter((job) => job.has_clip).slice(0, MOST);
    const own = library.clips.length ? `<p class="lk-label">Your clips</p>${keptList(library.clips, facts, strip)}` : "";
    this.dialog.innerHTML = `<header><b>${escape(this.title)}</b><button type="button" class="lk-button lk-quiet" data-do="close">Close</button></header>
      ${dropTarget(CLIPS, "<b>Add a clip:</b> drop it here or browse")}${own}
      ${made.length ? `<p class="lk-label">Made here</p><div class="lk-try">${made.map(card).join("")}</div>` : ""}
      ${this.examples ? `<p class="lk-label">Or try one of these</p><div class="lk-try">${this.examples}</div>` : ""}`;
  }
}

const card = (job) => `<button type="button" class="lk-example" data-do="made" data-job="${job.id}" title="${escape(saidIn(job.request))}"><img src="${media(job.id, "poster.webp")}" alt="" loading="lazy"/><span>${escape(saidIn(job.request)) || icon("clip")}</span></button>`;
