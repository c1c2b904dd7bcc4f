// The prompt of a grid as it is read: built from the cells until somebody writes it; and the tags that are said in every cell.

import { cellsNow, GRID, tagsOf } from "./cellvalues.js";
import { fill, form, set } from "./form.js";
import { FormPart } from "./formpart.js";
import { library } from "./library.js";

class Written extends FormPart {
  build() {
    this.innerHTML = `<p class="lk-label"><label for="lk-whole">Whole prompt</label><span class="lk-count"></span><button type="button" class="lk-link" hidden>Back to the cells' words</button></p>
      <textarea id="lk-whole" rows="3" maxlength="8000" spellcheck="false"></textarea>`;
    [this.field, this.back] = [this.querySelector("textarea"), this.querySelector("button")];
    this.field.addEventListener("input", () => set(GRID, { written: this.field.value }));
    this.field.addEventListener("blur", () => this.show(form(GRID)));
    this.back.addEventListener("click", () => set(GRID, { written: "" }));
  }

  show({ values, estimate }) {
    const written = Boolean(values.written?.trim());
    this.back.hidden = !written;
    this.querySelector(".lk-count").textContent = written ? "written by you" : "built from the cells";
    const words = written ? values.written : estimate?.reads ?? this.field.value;
    if (document.activeElement !== this.field && this.field.value !== words) this.field.value = words;
  }
}

class Tags extends FormPart {
  build() {
    this.innerHTML = '<p class="lk-how">A name for who is seen and one for what happens, said again in every cell; adapters that learnt no tags read them as words.</p><button type="button" class="lk-chip"></button>';
    this.button = this.querySelector("button");
    this.button.addEventListener("click", () => fill(GRID, this.tags));
  }

  show({ values }) {
    const held = cellsNow().find(({ clip }) => clip);
    const words = held?.text || values.prompt || library.clips.find((one) => one.source === held?.clip)?.words || "";
    this.tags = tagsOf(words);
    const { identity, motion } = this.tags;
    this.button.hidden = !identity || (values.identity === identity && values.motion === motion);
    this.button.textContent = `Take from the words: ${[identity, motion].filter(Boolean).join(", ")}`;
  }
}

customElements.define("likeness-written", Written);
customElements.define("likeness-tags", Tags);
