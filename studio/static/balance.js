// How alike and how free the shots are: two sliders, each of which stands for several of the advanced settings.

import { fill, form, watch } from "./form.js";

const SLIDERS = [
  ["consistency", "Consistency", "Each for itself", "One character"],
  ["freedom", "Motion freedom", "All alike", "Each its own"],
];
const OWN = "Set by hand under Advanced.";

const same = (one, other) => (typeof one === "number" ? Math.abs(one - other) < 0.03 * Math.max(1, Math.abs(one) / 100) : one === other);

class Balance extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.stops = JSON.parse(this.getAttribute("stops"));
    this.innerHTML = SLIDERS.map(([name, label, low, high]) => `<div data-of="${name}"><label><b>${label}</b><span class="lk-track"><input type="range" min="0" max="${this.stops[name].length - 1}" step="1"/></span></label>
      <p><span>${low}</span><em role="status"></em><span>${high}</span></p></div>`).join("");
    this.addEventListener("input", (event) => this.turn(event.target.closest("[data-of]").dataset.of, Number(event.target.value)));
    this.leave = watch((method, own) => { if (method === this.method) this.show(own.values); });
    this.show(form(this.method).values);
  }

  disconnectedCallback() { this.leave?.(); }

  turn(name, stop) {
    this.mark(name, stop, "");
    clearTimeout(this.timer);
    this.wanted = { ...this.wanted, ...this.stops[name][stop] };
    this.timer = setTimeout(() => { fill(this.method, this.wanted); this.wanted = null; }, 120);
  }

  show(values) {
    if (this.wanted) return; // being moved
    for (const [name] of SLIDERS) {
      const stops = this.stops[name];
      const exact = stops.findIndex((stop) => Object.entries(stop).every(([field, value]) => same(value, values[field])));
      const [first] = Object.keys(stops[0]).filter((field) => typeof stops[0][field] === "number");
      const near = stops.map((stop) => Math.abs(stop[first] - (values[first] ?? stop[first])));
      this.mark(name, exact >= 0 ? exact : near.indexOf(Math.min(...near)), exact >= 0 || values[first] === undefined ? "" : OWN);
    }
  }

  mark(name, stop, note) {
    const place = this.querySelector(`[data-of=${name}]`);
    const input = place.querySelector("input");
    const share = Math.round((100 * stop) / (this.stops[name].length - 1));
    input.value = stop;
    input.style.setProperty("--share", `${share}%`);
    input.setAttribute("aria-valuetext", note || `${share} %`);
    const words = note || (share === 50 ? "as in the paper" : "");
    if (place.querySelector("em").textContent !== words) place.querySelector("em").textContent = words;
  }
}

customElements.define("likeness-balance", Balance);
