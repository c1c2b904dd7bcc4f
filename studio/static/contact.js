// The contact sheet of a board: every shot beside the same one drawn alone, filling in while it is drawn.

import { anchors, shotFile, sources } from "./boards.js";
import { indexOf } from "./seen.js";
import { paint, sheet } from "./sheets.js";
import { active, escape, icon } from "./words.js";

const SIDES = [[6, 320], [12, 224], [Infinity, 128]]; // up to so many shots: pixels of a picture
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const WORDS = { waiting: "Waiting", missing: "Not drawn" };

class Contact extends HTMLElement {
  connectedCallback() {
    this.tiles = [];
    this.playing = !calm.matches;
    this.frame = 0;
    this.innerHTML = "<ol></ol>";
  }

  disconnectedCallback() { clearInterval(this.timer); }

  // Called whenever the jobs have been looked at.
  show(job, chosen) {
    if (job.id !== this.job?.id) this.build(job);
    this.job = job;
    this.style.setProperty("--ratio", job.request.width / job.request.height);
    this.sources = sources(job);
    this.tiles.forEach((tile, number) => this.say(tile, number, chosen === number));
    this.update();
    this.play(this.playing);
  }

  build(job) {
    const first = anchors(job);
    this.querySelector("ol").innerHTML = job.request.shots.map((shot, number) => tile(shot, number, job.request.shots.length > 1 && first.includes(number))).join("");
    this.tiles = [...this.querySelectorAll("li")].map((item) => ({ item, ours: {}, alone: {}, mask: {} }));
  }

  say({ item }, number, chosen) {
    const { job, state } = this.sources[number];
    const seed = job.request.shots[number].seed;
    const words = state === "done" ? (job === this.job ? "" : "As before") : state === "running" ? (item.dataset.drawn ? "Drawing" : "In line") : WORDS[state];
    item.querySelector("em").textContent = words;
    item.dataset.state = state;
    item.querySelector("[data-do=open]").setAttribute("aria-pressed", chosen);
    item.querySelector(".lk-tools").hidden = active(this.job) || state !== "done";
    item.querySelector(".lk-tools a").href = `${shotFile(job, number)}?download=1`;
    item.title = `${this.job.request.shots[number].text || "The character alone"}${seed >= 0 ? `, seed ${seed}` : ""}`;
  }

  // Look at what is new, then once more if something came in between.
  async update() {
    if (this.updating) { this.again = true; return; }
    this.updating = true;
    do {
      this.again = false;
      await this.fetch(this.job);
    } while (this.again);
    this.updating = false;
  }

  async fetch(job) {
    const indexes = new Map();
    for (const one of new Set(this.sources.map((source) => source.job))) indexes.set(one.id, await indexOf(one));
    if (job.id !== this.job.id) return;
    const side = SIDES.find(([most]) => this.tiles.length <= most)[1];
    await Promise.all(this.tiles.map((tile, number) => this.fill(tile, number, this.sources[number], indexes.get(this.sources[number].job.id), side)));
    this.draw();
  }

  async fill(tile, number, { job, state }, index, side) {
    const name = `shot ${number + 1}`;
    const done = state === "done";
    const found = { ours: index.get(`${name}, finished`), alone: index.get(`${name}, alone, finished`), mask: index.get(`${name}, character`) };
    if (!done) Object.assign(found, { ours: index.get(name), alone: index.get(`${name}, alone`) });
    tile.item.dataset.drawn = found.ours ? "yes" : "";
    for (const [part, named] of Object.entries(found)) {
      const step = named?.steps.at(-1);
      const key = named ? `${job.id} ${named.name} ${step} ${side}` : "";
      const film = !named && done && part !== "mask";
      tile.item.querySelector(`[data-of=${part}]`).classList.toggle("lk-blank", !named && !film);
      this.film(tile, part, film ? shotFile(job, number, part === "alone") : "");
      if (tile[part].key === key) continue;
      const image = named ? await sheet(job.id, named.name, step, side) : null;
      if (named && !image) continue; // it has been replaced meanwhile
      tile[part] = { key, image, frames: named?.frames ?? 0 };
    }
  }

  // What the steps do not show any more is still there as a clip.
  film(tile, part, path) {
    const place = tile.item.querySelector(`[data-of=${part}]`);
    const video = place.querySelector("video");
    if (!path) { video?.remove(); return; }
    if (video) return;
    const made = Object.assign(document.createElement("video"), { src: path, muted: true, loop: true, playsInline: true, autoplay: !calm.matches });
    made.addEventListener("error", () => { made.remove(); place.classList.add("lk-blank"); });
    place.append(made);
  }

  draw() {
    const { frames } = this.job.request;
    for (const { item, ...parts } of this.tiles) {
      for (const [part, { image, frames: count }] of Object.entries(parts)) {
        const canvas = item.querySelector(`[data-of=${part}] canvas, canvas[data-of=${part}]`);
        canvas.hidden = !image;
        if (image) paint(canvas, image, count, Math.floor((this.frame * count) / frames));
      }
    }
  }

  play(on) {
    this.playing = on;
    const wanted = on && this.job && this.offsetParent;
    if (Boolean(this.timer) === Boolean(wanted)) return;
    clearInterval(this.timer);
    this.timer = wanted ? setInterval(() => { this.frame = (this.frame + 1) % this.job.request.frames; this.draw(); }, 1000 / (this.job.request.fps || 8)) : 0;
  }
}

const button = (what, label, drawn) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${label}" title="${label}">${icon(drawn)}</button>`;

const tile = ({ text }, number, anchor) => `<li data-number="${number}">
  <button type="button" class="lk-takes" data-do="open" aria-label="Shot ${number + 1}: ${escape(text)}"><span class="lk-cell" data-of="ours"><canvas></canvas><canvas data-of="mask"></canvas></span><span class="lk-cell lk-alone" data-of="alone"><canvas></canvas></span></button>
  <div class="lk-tools">${button("again", anchor ? `Draw shot ${number + 1} again, with all others: they look at it` : `Draw shot ${number + 1} again with another seed`, "retry")}<a class="lk-icon" download aria-label="Save shot ${number + 1}" title="Save shot ${number + 1} as MP4">${icon("download")}</a></div>
  <p><b>${number + 1}</b><span>${escape(text) || "The character alone"}</span>${anchor ? '<i class="lk-tag">Anchor</i>' : ""}<em></em></p></li>`;

customElements.define("likeness-contact", Contact);
