// The subject in one picture: the picture, which models can look at it, and how the prompt speaks of what it shows.

import { offered } from "./adapters.js";
import { chooseModel, fill, form, titleOf, watch, wished } from "./form.js";
import { Still } from "./still.js";
import { escape } from "./words.js";

const METHOD = "subject-from-image";
const CLS = "<cls>";
const unmoved = { show() {}, end() {} };

class Picture extends Still {
  words = {
    label: "Picture of the subject",
    add: "<b>Add a picture</b> that shows the subject well, alone if possible: drop it here, paste it or browse.",
    camera: "Take one with the camera",
    drawn: "camera",
    kept: "Your pictures",
    gone: "The picture of these settings is no longer here: add it again.",
  };
  setting = "image";
  nothing = { image: "" };

  connectedCallback() {
    super.connectedCallback();
    this.insertAdjacentHTML("beforeend", '<p class="lk-fits" role="status" hidden></p>');
    this.addEventListener("click", (event) => { if (event.target.matches("[data-model]")) this.use(event.target.dataset.model); });
    this.fits();
  }

  named(name) { return this.pieces().find((one) => one.photo === name) ?? null; }
  settled(photo) { return { image: photo.photo }; }

  // An example says what it shows.
  async copy(file) {
    const word = this.querySelector(`.lk-example[data-file="${CSS.escape(file)}"]`)?.dataset.word;
    await super.copy(file);
    if (word && !this.values().class_word) fill(this.method, { class_word: word });
  }

  use(model) { chooseModel(this.method, model, form(this.method).names, wished(model, METHOD)); }

  open() { return unmoved; }
  chosenView(photo) { return this.framed(photo); }

  show() {
    super.show();
    this.fits();
  }

  // Which models can look at a picture, if the chosen one cannot.
  fits() {
    const line = this.querySelector(".lk-fits");
    const { model } = this.values();
    const bases = [...new Set(offered(this, METHOD).map((one) => one.base))];
    if (!line || !model || !bases.length) return;
    line.hidden = bases.includes(model);
    const words = `${escape(titleOf(model))} cannot look at a picture. ${bases.map((base) => `<button type="button" class="lk-link" data-model="${escape(base)}">Use ${escape(titleOf(base))}</button>`).join(" or ")}`;
    if (line.innerHTML !== words) line.innerHTML = words;
  }
}

// The prompt as it will be read, or how to speak of the subject in it.
class Spoken extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.setAttribute("role", "status");
    this.addEventListener("click", (event) => { if (event.target.matches("[data-insert]")) this.insert(); });
    this.leave = watch((method) => { if (method === this.method) this.show(); });
    this.show();
  }

  disconnectedCallback() { this.leave?.(); }

  word() { return (form(this.method).values.class_word ?? "").trim(); }

  insert() {
    const prompt = (form(this.method).values.prompt ?? "").trim();
    fill(this.method, { prompt: prompt ? `a ${this.word()} ${prompt}` : `a ${this.word()}` });
    this.closest(".lk-controls").querySelector(".lk-prompt :is(textarea, input)")?.focus();
  }

  show() {
    const { values, estimate } = form(this.method);
    const word = this.word();
    const read = values.pictured && !estimate?.error && estimate?.reads;
    const words = read ? `Reads: ${escape(read).replaceAll(escape(CLS), `<mark>${escape(CLS)}</mark>`)}`
      : !word ? "The word that the prompt calls it by, such as teapot or dog."
        : says(values.prompt ?? "", word) ? "" : `Say <button type="button" class="lk-link" data-insert>${escape(word)}</button> in the prompt.`;
    if (this.shown === words) return;
    this.shown = words;
    this.innerHTML = words && `<p class="lk-reads">${words}</p>`;
  }
}

const says = (prompt, word) => prompt.includes(CLS) || new RegExp(`(^|[^\\p{L}\\p{N}_])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}($|[^\\p{L}\\p{N}_])`, "iu").test(prompt);

customElements.define("likeness-picture", Picture);
customElements.define("likeness-spoken", Spoken);
