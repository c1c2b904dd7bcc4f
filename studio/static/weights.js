// Under the choice of a face adapter, or of face models: what it is and what its licence allows. Adapter and model go together.

import { chooseModel, fill, form, watch } from "./form.js";
import { escape } from "./words.js";

class Weights extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.setting = this.getAttribute("setting");
    this.offered = JSON.parse(this.getAttribute("offered"));
    this.more ??= this.innerHTML;
    this.before = {};
    this.leave = watch((method, own) => { if (method === this.method) this.show(own); });
    this.show(form(this.method));
  }

  disconnectedCallback() { this.leave?.(); }

  show({ values, names }) {
    if (!values[this.setting] || !this.offered.length) return;
    const chosen = this.offered.find((one) => one.name === values[this.setting]);
    if (!chosen) { fill(this.method, { [this.setting]: this.offered[0].name }); return; } // it has been on this machine
    if (chosen.base && chosen.base !== values.model) this.match(chosen, values, names);
    else Object.assign(this, { before: { model: values.model, adapter: values.adapter }, tried: "" });
    const content = `<p>${escape(chosen.description)}</p><p class="lk-facts"><span>${escape(chosen.licence)}</span></p>${this.more}`;
    if (this.shown !== content) this.innerHTML = this.shown = content;
  }

  // Whichever of the two was chosen last brings the other along; `before` is the last pair that fitted.
  match(chosen, values, names) {
    const pair = `${values.model} ${values.adapter}`;
    if (pair === this.tried) return; // on its way
    this.tried = pair;
    const fitting = this.offered.find((one) => one.base === values.model);
    if (fitting && values.adapter === this.before.adapter) fill(this.method, { adapter: fitting.name });
    else chooseModel(this.method, chosen.base, names.filter((name) => name !== "adapter"));
  }
}

customElements.define("likeness-weights", Weights);
