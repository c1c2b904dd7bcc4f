// Under the screen of a finished grid: each cell as a clip of its own, and which words each of them has read.

import { media } from "./api.js";
import { cellsNow, GRID, putCell } from "./cellvalues.js";
import { fillIn } from "./form.js";
import { keepMade } from "./library.js";
import { matrix, shade } from "./matrix.js";
import { toast } from "./toast.js";
import { escape, icon } from "./words.js";

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const fileOf = (name) => `cell-${name.replace(" ", "-")}.mp4`;
const label = (name) => name[0].toUpperCase() + name.slice(1);

class Grid extends HTMLElement {
  connectedCallback() {
    this.hidden = true;
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
  }

  look(job) {
    const cells = job?.method === GRID && job.state === "done" ? job.values?.cells ?? [] : [];
    const key = cells.length ? job.id : "";
    if (key === this.shown) return;
    Object.assign(this, { shown: key, job });
    this.hidden = !key;
    if (!key) { this.replaceChildren(); return; }
    const { layout, width, height } = job.request;
    const [rows, columns] = layout.split("x");
    this.style.setProperty("--columns", columns);
    this.style.setProperty("--ratio", width / columns / (height / rows));
    this.innerHTML = `<section><h3>Cells</h3><ol class="lk-in-grid">${cells.map((cell, number) => shown(job, cell, number)).join("")}</ol></section>${read(job)}`;
    if (!calm.matches && this.offsetParent) this.querySelectorAll("video").forEach((video) => video.play().catch(() => {}));
  }

  async act(pressed) {
    const number = Number(pressed?.closest("[data-number]")?.dataset.number);
    if (!pressed || this.busy) return;
    this.busy = true;
    const { cell } = this.job.values.cells[number];
    const clip = await keepMade(this.job.id, fileOf(cell));
    this.busy = false;
    if (clip.error) toast(clip.error, { tone: "bad", seconds: 9 });
    else if (pressed.dataset.do === "back") putBack(clip, number);
    else fillIn("transfer-motion", { source: clip.source, start: 0, end: 0, crop: "", source_prompt: clip.words });
  }
}

// Into the same place of the grid in the form, or into the first.
function putBack(clip, number) {
  const at = number < cellsNow().length ? number : 0;
  const before = cellsNow()[at];
  putCell(at, { clip: clip.source, start: 0 });
  toast("The cell is in the form as a clip: it will stay as it is.", { action: "Undo", seconds: 10, run: () => putCell(at, before) });
}

const button = (what, words, help, drawn) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${escape(help)}" title="${escape(help)}">${icon(drawn)}</button>`;

function shown(job, { cell, given, text }, number) {
  const drawn = given ? "" : button("back", "Put back", `Put ${cell} back into the grid as a clip`, "turn") + button("motion", "Motion", `Take over the motion of ${cell}`, "more");
  return `<li data-number="${number}"><div class="lk-face"><video src="${media(job.id, fileOf(cell))}" loop muted playsinline preload="auto" aria-label="${escape(`${label(cell)}: ${text}`)}"></video></div>
    <div class="lk-of-cell"><b>${label(cell)}</b>${given ? '<i class="lk-tag">Your clip</i>' : ""}<span>${drawn}<a class="lk-icon" download href="${media(job.id, fileOf(cell))}?download=1" aria-label="Save ${cell}" title="Save ${cell} as MP4">${icon("download")}</a></span></div>
    ${text ? `<p class="lk-how">${escape(text)}</p>` : ""}</li>`;
}

// A table of the shares of attention to words, which was looked at while the grid was drawn.
function read({ values: { attention, leak, cells } }) {
  if (!attention) return "";
  const shared = attention.some(([share]) => share > 0.0005);
  const names = cells.map(({ cell }) => label(cell));
  const rows = attention.map((row, number) => [names[number], row.slice(shared ? 0 : 1).map((share) => shade(share, `${Math.round(100 * share)} %`))]);
  const told = leak === null ? "" : ` ${leak < 0.0005 ? "No cell has read words that were meant for others." : `${Math.max(1, Math.round(100 * leak))} % of the attention to words of single cells went to cells that they were not meant for.`}`;
  return `<section><h3>Words</h3>${matrix("How much of each cell's attention went to whose words", [...(shared ? ["Of all cells"] : []), ...names], rows)}<p class="lk-how">${told}</p></section>`;
}

customElements.define("likeness-grid", Grid);
