// Adapters on this machine and the visitor's own: which there are to draw with, and the visitor's own as cards.

import { chooseModel, fill, fillIn, form, titleOf } from "./form.js";
import { deleteAdapter, followLibrary, library } from "./library.js";
import { escape, icon } from "./words.js";

// Those that a method draws with, as {name, title, base, ...}; `element` carries what is on this machine.
export function offered(element, method) {
  const here = JSON.parse(element.getAttribute("offered") ?? "[]");
  return [...here, ...library.adapters.filter((one) => one.method === method).map(told)];
}

const told = (one) => ({ name: one.adapter, title: one.name, base: one.base, description: "Trained here, by you.", licence: "Yours" });

// Draw with one of the visitor's own, on the model that it is for.
export async function useAdapter(one) {
  const pictured = one.method === "subject-from-image";
  const method = pictured ? "personalise" : one.method;
  const wanted = { adapter: one.adapter, ...(pictured ? { pictured: true, subject: "" } : {}) };
  await fillIn(method, {});
  const { values, names } = form(method);
  if (values.model === one.base) fill(method, wanted);
  else await chooseModel(method, one.base, names.filter((name) => name !== "adapter"), wanted);
}

// Whether there is a tab that draws with it: that of faces is there only where an adapter is when the studio starts.
export const usable = (one) => one.method !== "face" || [...document.querySelectorAll('.lk-tabs [role="tab"], .lk-tabs .overflow-dropdown button')].some((tab) => tab.textContent.trim() === "Face");

const DRAWS = { "subject-from-image": "subjects from one picture", face: "faces from one photo" };

class Adapters extends HTMLElement {
  connectedCallback() {
    this.innerHTML = '<header><h2>Your adapters</h2><p class="lk-count"></p></header><ul class="lk-subjects"></ul><p class="lk-none"></p>';
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.leave = followLibrary(() => this.show());
  }

  disconnectedCallback() { this.leave?.(); }

  act(button) {
    const one = library.adapters.find((other) => other.slug === button?.closest("[data-slug]")?.dataset.slug);
    if (!one) return;
    if (button.dataset.do === "use") useAdapter(one);
    if (button.dataset.do === "delete") deleteAdapter(one);
  }

  show() {
    const { adapters, loaded } = library;
    this.hidden = this.hasAttribute("wall") && !adapters.length;
    this.querySelector(".lk-count").textContent = adapters.length || "";
    this.querySelector(".lk-none").textContent = adapters.length || !loaded ? "" : "Adapters that you train stay here, for you alone.";
    const cards = adapters.map(card).join("");
    if (cards !== this.shown) this.querySelector(".lk-subjects").innerHTML = this.shown = cards;
  }
}

function card(one) {
  const save = one.method === "subject-from-image" ? `<a class="lk-icon" download href="studio/adapters/${one.slug}/adapter.safetensors" aria-label="Save ${escape(one.name)}" title="Save">${icon("download")}</a>` : "";
  const use = usable(one) ? '<button type="button" class="lk-button lk-primary" data-do="use"><span>Use</span></button>' : '<span class="lk-how">The Face tab comes with the next start of the studio.</span>';
  return `<li data-slug="${one.slug}" class="lk-subject"><div class="lk-about"><b>${escape(one.name)}</b><p>Draws ${DRAWS[one.method]}</p><p class="lk-facts"><span>${escape(titleOf(one.base))}</span><span>${new Date(1000 * one.created).toLocaleDateString()}</span></p></div>
    <div class="lk-row">${use}${save}<button type="button" class="lk-icon" data-do="delete" aria-label="Delete ${escape(one.name)}" title="Delete">${icon("delete")}</button></div></li>`;
}

customElements.define("likeness-adapters", Adapters);
