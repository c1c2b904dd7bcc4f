// "Your clips": the strip under the screen and, with wall="true", the grid of the Library tab.

import { media } from "./api.js";
import { fillIn, openTab, tabName } from "./form.js";
import { find, move, remove, retry, select, state, stop, subscribe } from "./jobs.js";
import { active, escape, fraction, icon, saidIn, STATES } from "./words.js";

class Clips extends HTMLElement {
  connectedCallback() {
    this.wall = this.getAttribute("wall") === "true";
    this.innerHTML = '<header><h2>Your clips</h2><p class="lk-count"></p></header><ul class="lk-cards"></ul><p class="lk-none"></p>';
    this.cards = new Map();
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("keydown", (event) => this.walk(event));
    this.leave = subscribe(() => this.show());
    document.addEventListener("likeness-preview", this.develop);
  }

  disconnectedCallback() {
    this.leave?.();
    document.removeEventListener("likeness-preview", this.develop);
  }

  // The card shows what the screen shows, out of the browser's memory: no second request.
  develop = ({ detail: { id, source } }) => {
    const place = this.cards.get(id)?.querySelector(".lk-blank");
    if (!place) return;
    if (place.firstChild?.tagName !== "IMG") place.replaceChildren(new Image());
    place.firstChild.alt = "";
    place.firstChild.src = source;
  };

  act(part) {
    if (!part) return;
    const id = part.closest("[data-job]").dataset.job;
    const job = find(id);
    const verbs = {
      open: () => { select(id); if (this.wall) openTab(tabName(job.method)); },
      stop: () => stop(id),
      retry: () => retry(id),
      delete: () => remove(id),
      up: () => move(id, Math.max(job.position - 1, 0)),
      reuse: () => fillIn(job.method, { ...job.request, seed: job.seed ?? job.request.seed }),
    };
    verbs[part.dataset.do]?.();
  }

  // Arrow keys walk along the cards, Delete removes the focused one.
  walk(event) {
    const card = event.target.closest?.("[data-job]");
    if (!card || !event.target.matches("[data-do=open]")) return;
    const next = { ArrowRight: card.nextElementSibling, ArrowLeft: card.previousElementSibling }[event.key];
    if (next) { event.preventDefault(); next.querySelector("[data-do=open]").focus(); }
    if (event.key === "Delete") remove(card.dataset.job);
  }

  show() {
    const list = this.querySelector(".lk-cards");
    const ids = new Set(state.jobs.map((job) => job.id));
    for (const [id, card] of this.cards) if (!ids.has(id)) { card.remove(); this.cards.delete(id); }
    state.jobs.forEach((job, index) => {
      const card = this.card(job);
      if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    });
    const waiting = state.jobs.filter((job) => job.state === "queued").length;
    this.querySelector(".lk-count").textContent = [state.jobs.length ? `${state.jobs.length}` : "", waiting ? `${waiting} waiting` : ""].filter(Boolean).join(" · ");
    this.querySelector(".lk-none").textContent = state.jobs.length || !state.loaded ? "" : "Clips you make stay here, for you alone, also after a reload.";
  }

  card(job) {
    let card = this.cards.get(job.id);
    const key = `${job.state} ${hasPoster(job)} ${job.position > 0}`;
    if (!card) {
      card = document.createElement("li");
      card.dataset.job = job.id;
      this.cards.set(job.id, card);
    }
    if (card.dataset.key !== key) {
      card.dataset.key = key;
      card.dataset.state = job.state;
      card.innerHTML = content(job, this.wall);
    }
    card.querySelector("[data-do=open]").setAttribute("aria-current", job.id === state.selected);
    card.style.setProperty("--done", job.state === "running" ? fraction(job) : 0);
    return card;
  }
}

// A board shows its first finished shot, also while the others are drawn and after a Stop.
const hasPoster = (job) => job.has_clip || job.values.shots?.length > 0;

function content(job, wall) {
  const picture = hasPoster(job) ? `<img loading="lazy" alt="" src="${media(job.id, "poster.webp")}"/>` : `<span class="lk-blank">${icon("clip")}</span>`;
  const verbs = active(job)
    ? [...(job.position > 1 ? [["up", "Move forward"]] : []), ["stop", job.state === "queued" ? "Cancel" : "Stop"]]
    : [["reuse", "Reuse settings"], ...(job.state === "done" ? [] : [["retry", "Run again"]]), ["delete", "Delete"]];
  const tools = verbs.map(([what, label]) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${label}" title="${label}">${icon(what)}</button>`).join("");
  const chip = job.state === "done" ? "" : `<span class="lk-state">${STATES[job.state]}</span>`;
  const r = job.request;
  const said = escape(saidIn(r));
  const more = wall ? `<p class="lk-words">${said}</p><p class="lk-facts"><span>${r.width} × ${r.height}</span><span>${r.frames} frames</span>${job.seed == null ? "" : `<span>seed ${job.seed}</span>`}</p>` : "";
  return `<button type="button" class="lk-card" data-do="open" aria-label="${escape(STATES[job.state])}: ${said}" title="${said}">${picture}${chip}</button><div class="lk-tools">${tools}</div>${more}`;
}

customElements.define("likeness-clips", Clips);
