// Under the screen of a board: its contact sheet, one shot closely, the film and the figures.

import { recall, remember } from "./api.js";
import { figures } from "./alike.js";
import { drawAgain, isBoard, shotFile, sources } from "./boards.js";
import { together } from "./compare.js";
import { indexOf } from "./seen.js";
import { sheet } from "./sheets.js";
import { SLICED } from "./slices.js";
import { active, escape, icon } from "./words.js";
import "./contact.js";
import "./cut.js";

const SIDE = 256; // pixels of a frame in the sheets that slices are cut from

const chip = (name, label, drawn) => `<button type="button" class="lk-chip" data-do="${name}">${icon(drawn)}${label}</button>`;

const FRAME = `<header><h3>Shots</h3><span class="lk-looks" role="group" aria-label="What is shown of each shot">${chip("alone", "Beside it drawn alone", "pair")}${chip("masks", "Where the character is", "person")}${chip("play", "Play", "clip")}</span></header>
  <likeness-contact></likeness-contact><section data-part="shot" hidden></section><likeness-cut></likeness-cut><section data-part="figures"></section>`;

const look = { alone: true, masks: false, ...recall("board.look") };

class Board extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
    this.innerHTML = FRAME;
    this.contact = this.querySelector("likeness-contact");
    this.line = this.querySelector("likeness-cut");
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
  }

  disconnectedCallback() { this.apart?.(); }

  part(name) { return this.querySelector(`[data-part=${name}]`); }

  look(job) {
    this.hidden = !isBoard(job);
    if (this.hidden) { this.job = null; return; }
    if (job.id !== this.job?.id) this.chosen = null;
    this.job = job;
    this.sources = sources(job);
    if (this.chosen === null && !active(job)) this.chosen = this.first();
    this.contact.show(job, active(job) ? null : this.chosen);
    this.line.show(job);
    if (active(job)) this.line.hidden = true;
    this.closely();
    this.tell();
    this.turn();
  }

  first() {
    const found = this.sources.findIndex((source) => source.state === "done");
    return found < 0 ? null : found;
  }

  act(pressed) {
    if (!pressed) return;
    const number = Number(pressed.closest("[data-number]")?.dataset.number);
    const verbs = {
      alone: () => this.keep({ alone: !look.alone }),
      masks: () => this.keep({ masks: !look.masks }),
      play: () => { this.contact.play(!this.contact.playing); this.turn(); },
      open: () => { if (this.sources[number]?.state === "done" && !active(this.job)) { this.chosen = number; this.look(this.job); } },
      again: () => drawAgain(this.job, number),
    };
    verbs[pressed.dataset.do]?.();
  }

  keep(change) {
    remember("board.look", Object.assign(look, change));
    this.turn();
  }

  // A single shot is drawn alone, and nobody looks for its character.
  turn() {
    const single = this.job.request.shots.length < 2;
    for (const name of ["alone", "masks"]) {
      const button = this.querySelector(`[data-do=${name}]`);
      this.contact.toggleAttribute(name, look[name] && !single);
      button.setAttribute("aria-pressed", look[name]);
      button.hidden = single;
    }
    this.querySelector("[data-do=play]").setAttribute("aria-pressed", this.contact.playing);
  }

  // The figures of a board that has been drawn.
  tell() {
    const words = this.job.state === "done" ? figures(this.job) : "";
    if (words === this.told) return;
    this.told = words;
    this.part("figures").innerHTML = words ? `<h3>How alike</h3>${words}` : "";
  }

  // One shot, in company and alone: both play as one, and one column of each over time.
  async closely() {
    const place = this.part("shot");
    const source = this.chosen === null ? null : this.sources[this.chosen];
    place.hidden = active(this.job) || source?.state !== "done";
    const now = place.hidden ? "" : `${source.job.id} ${this.chosen}`;
    if (now === this.close) return;
    this.close = now;
    this.apart?.();
    this.apart = null;
    place.innerHTML = place.hidden ? "" : closely(source.job, this.chosen);
    if (place.hidden) return;
    const videos = place.querySelectorAll("video");
    if (videos.length) this.apart = together(...videos, 1 / (source.job.request.fps || 8));
    await this.slices(source.job, this.chosen, now);
  }

  async slices(job, number, now) {
    const hows = job.request.shots.length > 1 ? ["", ", alone"] : [""];
    const names = hows.map((how) => `shot ${number + 1}${how}, finished`);
    const index = await indexOf(job);
    const found = names.map((name) => index.get(name));
    if (this.close !== now || found.some((named) => !named)) return;
    const images = await Promise.all(found.map((named) => sheet(job.id, named.name, named.steps[0], SIDE)));
    if (this.close !== now || images.some((image) => !image)) return;
    const place = this.part("slices");
    place.innerHTML = SLICED;
    place.querySelector("likeness-slices").show((hows.length > 1 ? ["Together", "Drawn alone"] : ["The shot"]).map((label, one) => [label, found[one].frames, images[one]]), job.request.width / job.request.height);
  }
}

const half = (job, number, alone, label) => `<figure><video src="${shotFile(job, number, alone)}" loop muted controls playsinline preload="auto" aria-label="Shot ${number + 1}, ${label.toLowerCase()}"></video><figcaption>${label}</figcaption></figure>`;

const closely = (job, number) => `<h3>Shot ${number + 1}</h3><p class="lk-how">${escape(job.request.shots[number].text) || "The character alone"}</p>
  ${job.request.shots.length < 2 ? "" : `<div class="lk-beside lk-close" style="--ratio: ${job.request.width / job.request.height}">${half(job, number, false, "Together")}${half(job, number, true, "Drawn alone")}</div>`}<div data-part="slices"></div>`;

customElements.define("likeness-board", Board);
