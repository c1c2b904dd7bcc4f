// Templates of grids: one press fills the cells, with an example where no clip is there yet.

import { cellsNow, GRID } from "./cellvalues.js";
import { fill, form } from "./form.js";
import { clips, library } from "./library.js";
import { toast } from "./toast.js";
import { escape } from "./words.js";

class Templates extends HTMLElement {
  connectedCallback() {
    this.all = JSON.parse(this.getAttribute("templates"));
    this.innerHTML = `<p class="lk-label" id="lk-templates">Start from</p><div role="group" aria-labelledby="lk-templates">${this.all.map(({ title }, index) =>
      `<button type="button" class="lk-chip" data-index="${index}">${escape(title)}</button>`).join("")}</div>`;
    this.addEventListener("click", (event) => this.apply(this.all[event.target.closest("button")?.dataset.index]));
  }

  async apply(template) {
    if (!template || this.busy) return;
    this.busy = true;
    const found = await this.clips(template);
    this.busy = false;
    if (found.error) { toast(found.error, { tone: "bad", seconds: 9 }); return; }
    const { layout, mode, prompt, cells, written } = form(GRID).values;
    fill(GRID, filled(template, found.clips, prompt));
    toast(`${template.title}: the cells are filled.`, { action: "Undo", seconds: 10, run: () => fill(GRID, { layout, mode, prompt, cells: cells ?? [], written: written ?? "" }) });
  }

  // The clips that stand in the form, in their order, and examples for what is lacking.
  async clips({ cells }) {
    const held = cellsNow().map(({ clip }) => library.clips.find((one) => one.source === clip)).filter(Boolean);
    const found = [];
    for (const { example } of cells.filter((cell) => cell.example)) {
      const clip = held.shift() ?? await clips.example(example);
      if (clip.error) return clip;
      found.push(clip);
    }
    return { clips: found };
  }
}

// In an edit, all cells show what the clip shows; in a composition each says its own.
function filled({ layout, mode, prompt, cells }, found, before) {
  const composed = mode === "compose";
  const put = cells.map(({ text = "" }, number) => (found[number] ? { clip: found[number].source, text: composed ? found[number].words : "", start: 0 } : { clip: "", text, start: 0 }));
  return { layout, mode, written: "", prompt: prompt ?? (composed ? "" : found[0].words || before), cells: put };
}

customElements.define("likeness-templates", Templates);
