// A part of the form that shows what stands in it: `build()` once, `show(form)` whenever it changes.

import { form, watch } from "./form.js";

export class FormPart extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.build?.();
    this.leave = watch((method, own) => { if (method === this.method) this.show(own); });
    this.show(form(this.method));
  }

  disconnectedCallback() { this.leave?.(); }
}
