// Under the choice of an adapter, or of face models: what it is and what its licence allows. Adapter and model go together; one
// that follows the model never changes it.

import { offered } from "./adapters.js";
import { chooseModel, fill, form, offer, watch } from "./form.js";
import { followLibrary } from "./library.js";
import { escape } from "./words.js";

class Weights extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.setting = this.getAttribute("setting");
    this.more ??= this.innerHTML;
    this.before = {};
    this.leave = [watch((method, own) => { if (method === this.method) this.show(own); }), followLibrary((library) => this.list(library))];
  }

  disconnectedCallback() { this.leave?.forEach((leave) => leave()); }

  // The visitor's own come and go.
  list(library) {
    this.offered = offered(this, this.setting === "adapter" ? this.getAttribute("of") ?? this.method : "");
    this.loaded = library.loaded;
    if (this.loaded && this.setting === "adapter") offer(this.method, this.setting, this.offered.map((one) => [one.title, one.name]));
    this.show(form(this.method));
  }

  show({ values, names }) {
    if (!this.offered?.length || !this.loaded || !names.length || (!values[this.setting] && !this.hasAttribute("follows"))) return;
    const chosen = this.offered.find((one) => one.name === values[this.setting]);
    if (!chosen) { fill(this.method, { [this.setting]: this.offered[0].name }); return; } // it has been on this machine
    if (chosen.base && chosen.base !== values.model) this.hasAttribute("follows") ? this.follow(values) : this.match(chosen, values, names);
    else Object.assign(this, { before: { model: values.model, adapter: values.adapter }, tried: "" });
    const content = `<p>${escape(chosen.description)}</p><p class="lk-facts"><span>${escape(chosen.licence)}</span></p>${this.more}`;
    if (this.shown !== content) this.innerHTML = this.shown = content;
  }

  follow(values) {
    const fitting = this.offered.find((one) => one.base === values.model);
    if (fitting) fill(this.method, { [this.setting]: fitting.name });
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
