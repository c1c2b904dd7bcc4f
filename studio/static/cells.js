// The cells of a grid in the form: each holds a clip or says what it shall show.

import { previewOf, originOf } from "./part.js";
import { cellsIn, cellsNow, GRID, putCell } from "./cellvalues.js";
import { refused } from "./clipfacts.js";
import { ClipChoice } from "./clipchoice.js";
import { fill, form, set, watch } from "./form.js";
import { clips, followLibrary, library } from "./library.js";
import { escape, icon } from "./words.js";

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const HOW = {
  edit: "Put a clip into one cell, and write in the others what is different there.",
  compose: "Put clips into two cells: the others bring both together.",
};
const GONE = "A clip of these settings is no longer here: choose another one.";
const label = (name) => name[0].toUpperCase() + name.slice(1);

class Cells extends HTMLElement {
  connectedCallback() {
    this.names = JSON.parse(this.getAttribute("layouts"));
    this.examples ??= this.innerHTML;
    this.sending = new Map(); // cell -> what is on its way there
    this.spare = []; // cells that the layout has no place for
    this.innerHTML = '<p class="lk-label">Cells</p><p class="lk-how"></p><ol class="lk-in-grid"></ol><p class="lk-refused" role="alert"></p><dialog class="lk-dialog lk-choice"></dialog>';
    this.list = this.querySelector("ol");
    this.choice = new ClipChoice(this.querySelector("dialog"), this.examples);
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("input", (event) => this.write(event.target));
    this.addEventListener("dragover", (event) => this.mark(this.numberOf(event.target)));
    this.addEventListener("dragleave", () => this.mark(null));
    this.leave = [followLibrary(() => this.show()), watch((method) => { if (method === GRID) this.show(); })];
  }

  disconnectedCallback() {
    this.leave?.forEach((leave) => leave());
    this.sending.forEach((one) => one.cancel());
  }

  say(sentence) { this.querySelector(":scope > .lk-refused").textContent = sentence; }
  name(number) { return this.names[form(GRID).values.layout ?? "2x2"][number]; }

  numberOf(place) {
    const at = [...this.list.children].indexOf(place.closest?.("li"));
    return at < 0 ? null : at;
  }

  mark(number) { [...this.list.children].forEach((item, at) => item.classList.toggle("lk-over-it", at === number)); }

  act(pressed) {
    const number = pressed && this.numberOf(pressed);
    if (number === null || number === undefined) return;
    this.say("");
    const verbs = {
      add: () => this.choose(number),
      cancel: () => this.sending.get(number)?.cancel(),
      remove: () => this.put(number, null),
    };
    verbs[pressed.dataset.do]?.();
  }

  async choose(number) {
    const chosen = await this.choice.ask(`A clip for the cell ${this.name(number)}`);
    if (chosen.files) this.send(chosen.files[0], number);
    else if (chosen.error) this.say(chosen.error);
    else if (chosen.id) this.put(number, chosen);
  }

  // Files that were dropped on a cell, or elsewhere on the page; more than one go into the cells that follow.
  take(files, place) {
    this.mark(null);
    if (this.choice.done) { this.choice.end({ files }); return; }
    const free = cellsNow().findIndex((cell) => !cell.clip);
    const first = this.numberOf(place) ?? Math.max(free, 0);
    files.slice(0, cellsNow().length - first).forEach((file, index) => this.send(file, first + index));
  }

  async send(file, number) {
    const why = refused(file);
    this.say(why);
    if (why || this.sending.has(number)) return;
    const sending = clips.add(file, (sent) => this.advance(number, sent));
    this.sending.set(number, { cancel: sending.cancel, file });
    this.show();
    const answer = await sending.answer;
    this.sending.delete(number);
    if (answer.error) this.say(answer.error);
    if (answer.id) this.put(number, answer);
    this.show();
  }

  advance(number, sent) {
    const bar = this.list.children[number]?.querySelector("progress");
    if (sent < 1 && bar) bar.value = sent;
    else bar?.removeAttribute("value");
  }

  // What a clip is known to show is written where nothing is yet.
  put(number, clip) {
    const { values } = form(GRID);
    const words = clip?.words ?? "";
    const own = values.mode === "compose" && !cellsNow()[number].text ? { text: words } : {};
    putCell(number, { clip: clip?.source ?? "", start: 0, ...(clip ? own : {}) });
    if (words && values.mode !== "compose" && !values.prompt) fill(GRID, { prompt: words });
    this.list.children[number]?.querySelector("textarea").focus();
  }

  write(field) {
    const number = this.numberOf(field);
    if (number === null) return;
    if (field.matches("textarea")) putCell(number, { text: field.value });
    if (field.type === "number") putCell(number, { start: Math.max(field.valueAsNumber || 0, 0) });
  }

  show() {
    const { values } = form(GRID);
    if (values.concepts) { set(GRID, { concepts: "" }); return; } // of a file that was made elsewhere
    if (this.dealt(values)) return;
    const cells = cellsIn(values);
    this.dataset.columns = values.layout?.split("x")[1] ?? 2;
    this.style.setProperty("--columns", this.dataset.columns);
    this.style.setProperty("--ratio", ratio(values));
    this.querySelector(":scope > .lk-how").textContent = HOW[values.mode] ?? HOW.edit;
    while (this.list.children.length > cells.length) this.list.lastChild.remove();
    cells.forEach((cell, number) => this.fit(this.list.children[number] ?? this.list.appendChild(document.createElement("li")), cell, number));
  }

  // Another layout has other cells: what has no place any more comes back when it has.
  dealt({ cells = [], layout = "2x2" }) {
    if (!cells.length) { this.spare = []; return false; }
    const all = cellsIn({ cells: [...cells, ...this.spare.slice(cells.length)], layout });
    if (library.loaded) {
      const gone = all.findIndex(({ clip }) => clip && !library.clips.some((one) => one.source === clip));
      if (gone >= 0) { this.say(GONE); all[gone] = { ...all[gone], clip: "", start: 0 }; }
    }
    if (cells.length > all.length) this.spare = cells;
    this.spare = [...all, ...this.spare.slice(all.length)];
    if (JSON.stringify(cells) === JSON.stringify(all)) return false;
    set(GRID, { cells: all });
    return true;
  }

  fit(item, cell, number) {
    const clip = library.clips.find((one) => one.source === cell.clip);
    const key = JSON.stringify([this.name(number), clip?.id, clip && originOf(clip, cell.start), this.sending.get(number)?.file.name]);
    if (item.dataset.key !== key) {
      const focused = item.contains(document.activeElement);
      item.dataset.key = key;
      item.innerHTML = content(label(this.name(number)), clip, this.sending.get(number)?.file, cell);
      if (clip) playing(item.querySelector("video"), () => this.span(number, clip));
      if (focused) item.querySelector("textarea").focus();
    }
    this.keep(item.querySelector("textarea"), cell.text);
    this.keep(item.querySelector("input"), String(cell.start));
    const from = item.querySelector(".lk-from-second");
    if (from) from.hidden = clip.seconds <= needed(form(GRID).values) + 0.2;
  }

  keep(field, value) { if (field && field !== document.activeElement && field.value !== value) field.value = value; }

  // From where to where the clip of a cell plays, in seconds of its preview.
  span(number, clip) {
    const { start } = cellsNow()[number] ?? { start: 0 };
    const from = start - originOf(clip, start);
    return [from, from + needed(form(GRID).values)];
  }
}

const needed = ({ frames = 1, fps = 8 }) => frames / fps;

const ratio = ({ layout = "2x2", width = 1, height = 1 }) => {
  const [rows, columns] = layout.split("x");
  return width / columns / (height / rows);
};

function playing(video, span) {
  video.addEventListener("timeupdate", () => {
    const [from, to] = span();
    if (video.currentTime < from - 0.1 || video.currentTime > to) video.currentTime = Math.min(from, video.duration || 0);
  });
  if (!calm.matches) video.play().catch(() => {});
}

const tool = (what, words, drawn) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${escape(words)}" title="${escape(words)}">${icon(drawn)}</button>`;

const face = (name, clip, file, cell) => {
  if (file) return `<div class="lk-face lk-sending"><p role="status"><b>${escape(file.name)}</b></p><progress max="1" aria-label="Upload of ${escape(file.name)}"></progress><button type="button" class="lk-button" data-do="cancel">Cancel</button></div>`;
  return clip ? `<div class="lk-face"><video src="${previewOf(clip, originOf(clip, cell.start))}" muted loop playsinline preload="auto" aria-label="${escape(`${name}: ${clip.name}`)}"></video></div>` : "";
};

const tools = (name, clip) => (clip ? tool("remove", `Take the clip out of the cell ${name}`, "delete") + tool("add", `Another clip for the cell ${name}`, "reuse")
  : `<button type="button" class="lk-chip" data-do="add" aria-label="A clip for the cell ${name}">${icon("add")}<span>Clip</span></button>`);

const content = (name, clip, file, cell) => `<p class="lk-label">${name}</p>${file ? "" : tools(name.toLowerCase(), clip)}${face(name, clip, file, cell)}
  <textarea rows="2" maxlength="2000" aria-label="${name}: what it shows" placeholder="${clip ? "what it shows, if you like" : "what it shows"}"></textarea>
  ${clip ? `<label class="lk-from-second" hidden>From <input type="number" min="0" max="${clip.seconds}" step="0.1" aria-label="${name}: second at which the part begins"/> s</label>` : ""}`;

customElements.define("likeness-cells", Cells);
