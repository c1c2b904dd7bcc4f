// The order of a film's shots, on a line: moved with the pointer, the buttons or the arrow keys, left out and taken in again.

import { cut, setCut, sources } from "./boards.js";
import { moved } from "./project.js";
import { indexOf } from "./seen.js";
import { paint, sheet } from "./sheets.js";
import { duration, escape, icon, shotsOf } from "./words.js";

class Cut extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("keydown", (event) => this.walk(event));
  }

  show(job) {
    const done = sources(job).flatMap(({ job: one, state }, number) => (state === "done" ? [[one, number]] : []));
    const order = cut(job);
    const now = JSON.stringify([job.id, done.map(([one, number]) => [one.id, number]), order]);
    this.hidden = done.length < 2;
    if (now === this.shown) return;
    this.shown = now;
    this.job = job;
    this.order = order;
    const { frames, fps, shots } = job.request;
    const out = done.map(([, number]) => number).filter((number) => !order.includes(number));
    this.innerHTML = `<h3>Film</h3><p class="lk-how">${shotsOf(order.length)}, ${duration((order.length * frames) / (fps || 8))}. Put them in order with the buttons or the arrow keys: the screen plays what stands here.</p>
      <ol style="--ratio: ${job.request.width / job.request.height}">${order.map((number, place) => piece(number, place, order.length, shots[number])).join("")}</ol>
      ${out.length ? `<p class="lk-row lk-left-out"><span class="lk-how">Left out</span>${out.map((number) => `<button type="button" class="lk-chip" data-do="take" data-number="${number}">${icon("add")}Shot ${number + 1}</button>`).join("")}</p>` : ""}`;
    for (const [one, number] of done) this.picture(one, number, now);
  }

  async picture(job, number, now) {
    const named = (await indexOf(job)).get(`shot ${number + 1}, finished`);
    const image = named && await sheet(job.id, named.name, named.steps[0], 128);
    const canvas = this.querySelector(`li[data-number="${number}"] canvas`);
    if (image && canvas && this.shown === now) paint(canvas, image, named.frames, 0);
  }

  turn(order, focus) {
    setCut(this.job, order);
    this.dispatchEvent(new CustomEvent("likeness-cut", { bubbles: true }));
    this.querySelectorAll("li")[focus]?.querySelector(".lk-piece").focus();
  }

  move(from, to) {
    if (to >= 0 && to < this.order.length) this.turn(moved(this.order, from, to), to);
  }

  leave(place) {
    if (this.order.length > 1) this.turn(this.order.filter((_, one) => one !== place), Math.max(place - 1, 0));
  }

  act(pressed) {
    if (!pressed) return;
    const place = [...this.querySelectorAll("li")].indexOf(pressed.closest("li"));
    const verbs = {
      earlier: () => this.move(place, place - 1),
      later: () => this.move(place, place + 1),
      leave: () => this.leave(place),
      take: () => this.turn([...this.order, Number(pressed.dataset.number)], this.order.length),
    };
    verbs[pressed.dataset.do]?.();
  }

  walk(event) {
    if (!event.target.matches(".lk-piece")) return;
    const place = [...this.querySelectorAll("li")].indexOf(event.target.closest("li"));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); this.move(place, place + step); }
    if (event.key === "Delete") this.leave(place);
  }
}

const tool = (what, label, drawn, number, off) => `<button type="button" class="lk-icon" data-do="${what}" ${off ? "disabled" : ""} aria-label="${label} shot ${number + 1}" title="${label}">${icon(drawn)}</button>`;

const piece = (number, place, count, { text }) => `<li data-number="${number}"><button type="button" class="lk-piece" data-do="open" aria-label="Shot ${number + 1}, place ${place + 1} of ${count}: ${escape(text)}"><canvas></canvas><b>${number + 1}</b></button>
  <div>${tool("earlier", "Earlier", "left", number, place === 0)}${tool("leave", "Leave out", "minus", number, count === 1)}${tool("later", "Later", "right", number, place === count - 1)}</div></li>`;

customElements.define("likeness-cut", Cut);
