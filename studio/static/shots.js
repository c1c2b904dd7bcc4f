// The list of shots in the form: written, put in order with the pointer or the arrow keys, imported and exported.

import { fill, form, set, watch } from "./form.js";
import { anchorsOf, arranged, download, inserted, MOST, moved, read, shotOf } from "./project.js";
import { toast } from "./toast.js";
import { escape, icon, shotsOf } from "./words.js";

const FRAME = `<header><p class="lk-label">Shots <span class="lk-count"></span></p><span class="lk-gap"></span><button type="button" class="lk-link" data-do="reseed" title="Each shot draws a new seed">New seeds</button><button type="button" class="lk-link" data-do="import">Import</button><button type="button" class="lk-link" data-do="export">Export</button></header>
  <ol class="lk-shots"></ol><p class="lk-how" data-part="how"></p><div data-part="none"></div>
  <button type="button" class="lk-button" data-do="add">${icon("add")}<span>Add a shot</span></button>
  <dialog class="lk-dialog lk-import" aria-label="Import shots"><form method="dialog"><label class="lk-label" for="lk-import">One shot per line, or a board as JSON</label>
    <textarea id="lk-import" rows="8" placeholder="jumps in the snow&#10;spins in the desert"></textarea><p class="lk-refused" role="alert"></p>
    <div class="lk-row"><label class="lk-button lk-file"><input type="file" accept=".txt,.json,text/plain,application/json"/>${icon("up")}<span>From a file</span></label>
    <button type="button" class="lk-button" data-do="append">Add to the list</button><button type="button" class="lk-button lk-primary" data-do="replace">Replace the list</button>
    <button type="button" class="lk-button lk-quiet" data-do="close">Cancel</button></div></form></dialog>`;

const ANCHORS = "The character of the two anchors is what the other shots take over.";

class Shots extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.examples = JSON.parse(this.getAttribute("examples") || "[]");
    this.innerHTML = FRAME;
    this.list = this.querySelector("ol");
    this.dialog = this.querySelector("dialog");
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("input", (event) => this.write(event.target));
    this.addEventListener("change", (event) => this.load(event.target));
    this.addEventListener("keydown", (event) => this.walk(event));
    this.addEventListener("pointerdown", (event) => this.grab(event));
    this.leave = watch((method) => { if (method === this.method) this.show(); });
    this.show();
  }

  disconnectedCallback() { this.leave?.(); }

  // What stands in the form; the anchors are those that will be used.
  board() {
    const { shots = [], anchors } = form(this.method).values;
    return { shots, anchors: anchorsOf(shots, anchors) };
  }

  put(board, focus) {
    set(this.method, { shots: board.shots, anchors: board.anchors });
    if (focus !== undefined) this.list.children[focus]?.querySelector("textarea").focus();
  }

  act(pressed) {
    if (!pressed) return;
    const at = [...this.list.children].indexOf(pressed.closest("li"));
    const verbs = {
      add: () => this.insert(this.board().shots.length, shotOf("")),
      duplicate: () => this.insert(at + 1, shotOf(this.board().shots[at].text)),
      remove: () => this.remove(at),
      anchor: () => this.anchor(at),
      reseed: () => this.reseed(),
      import: () => this.open(),
      export: () => download(form(this.method).values),
      append: () => this.take(false),
      replace: () => this.take(true),
      close: () => this.dialog.close(),
      example: () => this.example(this.examples[pressed.dataset.index]),
    };
    verbs[pressed.dataset.do]?.();
  }

  insert(at, shot) {
    const board = this.board();
    if (board.shots.length >= MOST) { toast(`A board has ${MOST} shots at most.`); return; }
    const { shots, anchors } = inserted(board, at, shot);
    this.put({ shots, anchors: anchorsOf(shots, anchors) }, at);
  }

  remove(at) {
    const board = this.board();
    const [shot, anchor] = [board.shots[at], board.anchors.indexOf(at)];
    const focused = this.contains(document.activeElement);
    this.put(arranged(board, board.shots.map((_, number) => number).filter((number) => number !== at)), focused ? Math.min(at, board.shots.length - 2) : undefined);
    toast(`Shot ${at + 1} removed.${anchor >= 0 && board.shots.length > 2 ? " Another one is the anchor now." : ""}`, { action: "Undo", seconds: 10, run: () => this.restore(Math.min(at, this.board().shots.length), shot, anchor) });
  }

  // As it was, an anchor again if it was one.
  restore(at, shot, anchor) {
    const { shots, anchors } = inserted(this.board(), at, shot);
    const others = anchors.filter((number) => number !== at);
    this.put({ shots, anchors: anchorsOf(shots, anchor < 0 ? others : anchor ? [others[0], at].filter((one) => one !== undefined) : [at, ...others]) });
  }

  // The one that was chosen first goes.
  anchor(at) {
    const { shots, anchors } = this.board();
    if (!anchors.includes(at)) this.put({ shots, anchors: [anchors[1], at] });
  }

  move(from, to) {
    const board = this.board();
    if (to < 0 || to >= board.shots.length || to === from) return;
    this.put(arranged(board, moved(board.shots.map((_, number) => number), from, to)));
  }

  reseed() {
    const { shots, anchors } = this.board();
    this.put({ shots: shots.map(({ text }) => shotOf(text)), anchors });
    toast("Each shot draws a new seed.", { action: "Undo", seconds: 10, run: () => this.put({ shots, anchors }) });
  }

  example({ prompt, shots }) {
    fill(this.method, { prompt, shots: shots.map((text) => shotOf(text)), anchors: [0, 1] });
  }

  open() {
    this.dialog.querySelector(".lk-refused").textContent = "";
    this.dialog.showModal();
  }

  async load(input) {
    if (input.type !== "file" || !input.files[0]) return;
    await this.read(input.files[0]);
    input.value = "";
  }

  // A file that was dropped on the page, or chosen.
  async read(file) {
    if (!this.dialog.open) this.open();
    if (file.size > 200_000) { this.dialog.querySelector(".lk-refused").textContent = `${file.name} is too large to be a board.`; return; }
    this.dialog.querySelector("textarea").value = await file.text();
  }

  take(replace) {
    const place = this.dialog.querySelector("textarea");
    const answer = read(place.value);
    this.dialog.querySelector(".lk-refused").textContent = answer.error ?? "";
    if (answer.error) return;
    const before = structuredClone(form(this.method).values);
    const all = replace ? answer.shots : [...this.board().shots, ...answer.shots];
    const shots = all.slice(0, MOST);
    fill(this.method, { ...(replace ? answer.settings : {}), shots, anchors: anchorsOf(shots, replace ? answer.settings?.anchors : this.board().anchors) });
    place.value = "";
    this.dialog.close();
    const left = all.length - shots.length;
    toast(`${shotsOf(shots.length)} in the list.${left ? ` ${left} more did not fit: a board has ${MOST} at most.` : ""}`, { action: "Undo", seconds: 10, run: () => fill(this.method, { shots: [], ...before }) });
  }

  write(field) {
    const at = [...this.list.children].indexOf(field.closest("li"));
    if (at < 0) return;
    const { shots, anchors } = this.board();
    const text = this.list.children[at].querySelector("textarea").value;
    const seed = this.list.children[at].querySelector("input").valueAsNumber;
    const written = shots.with(at, { text, seed: Number.isInteger(seed) && seed >= 0 ? seed : -1 });
    this.shown = key(written, anchors); // this is how it looks already
    this.put({ shots: written, anchors });
    this.say();
  }

  // On the grip, arrow keys move the shot; in a text, Enter adds one below and Alt with an arrow moves it.
  walk(event) {
    const row = event.target.closest?.("li");
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!row) return;
    const at = [...this.list.children].indexOf(row);
    const grip = event.target.matches(".lk-grip");
    if (step && (grip || event.altKey)) {
      event.preventDefault();
      const part = grip ? ".lk-grip" : "textarea";
      this.move(at, at + step);
      this.list.children[Math.min(Math.max(at + step, 0), this.list.children.length - 1)].querySelector(part).focus();
    }
    if (event.key === "Delete" && grip) this.remove(at);
    if (event.key === "Enter" && event.target.matches("textarea") && !event.ctrlKey && !event.metaKey && !event.isComposing) {
      event.preventDefault();
      this.insert(at + 1, shotOf(""));
    }
  }

  grab(event) {
    const grip = event.target.closest(".lk-grip");
    if (!grip) return;
    const row = grip.closest("li");
    const from = [...this.list.children].indexOf(row);
    let to = from;
    const drag = (at) => {
      to = [...this.list.children].filter((one) => one !== row && at.clientY > one.getBoundingClientRect().top + one.offsetHeight / 2).length;
      [...this.list.children].forEach((one, place) => { one.dataset.drop = place !== from && place === to ? (to > from ? "below" : "above") : ""; });
    };
    const drop = () => {
      grip.removeEventListener("pointermove", drag);
      row.classList.remove("lk-held");
      this.querySelectorAll("[data-drop]").forEach((one) => { delete one.dataset.drop; });
      this.move(from, to);
    };
    row.classList.add("lk-held");
    grip.setPointerCapture(event.pointerId);
    grip.addEventListener("pointermove", drag);
    grip.addEventListener("lostpointercapture", drop, { once: true });
  }

  show() {
    const { values } = form(this.method);
    if (values.only?.length || values.folder) { set(this.method, { only: [], folder: "" }); return; } // of a job whose settings were taken back
    const { shots, anchors } = this.board();
    this.say();
    const now = key(shots, anchors);
    if (now === this.shown) return;
    this.shown = now;
    this.list.innerHTML = shots.map((shot, at) => row(shot, at, shots.length > 2, anchors.includes(at))).join("");
    this.querySelector("[data-part=how]").textContent = shots.length > 2 ? ANCHORS : "";
    this.querySelector("[data-part=none]").innerHTML = shots.length ? "" : empty(this.examples);
  }

  say() {
    const { shots } = this.board();
    this.querySelector(".lk-count").textContent = shots.length ? `${shots.length} of ${MOST}` : "";
    this.querySelector("[data-do=export]").hidden = !shots.length;
    this.querySelector("[data-do=reseed]").hidden = shots.every(({ seed }) => seed < 0);
    const first = new Map();
    shots.forEach(({ text, seed }, at) => {
      const same = first.get(`${text.trim()} ${seed}`);
      const note = !text.trim() ? "Empty: the character alone." : same !== undefined && seed >= 0 ? `The same text and seed as shot ${same + 1}: the same picture.` : "";
      if (same === undefined) first.set(`${text.trim()} ${seed}`, at);
      const place = this.list.children[at]?.querySelector(".lk-how");
      if (place && place.textContent !== note) place.textContent = note;
    });
  }
}

const key = (shots, anchors) => JSON.stringify([shots, [...anchors].sort()]);

const tool = (what, label, drawn, at) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${label} shot ${at + 1}" title="${label}">${icon(drawn)}</button>`;

const row = ({ text, seed }, at, choice, anchor) => `<li>
  <button type="button" class="lk-grip" aria-label="Shot ${at + 1}: move it with the arrow keys, delete it with Delete" title="Drag, or move with the arrow keys">${at + 1}</button>
  <textarea rows="1" maxlength="2000" aria-label="Shot ${at + 1}" placeholder="what happens, and where">${escape(text)}</textarea>
  <div class="lk-of-shot">${choice ? `<button type="button" class="lk-chip" data-do="anchor" aria-pressed="${anchor}" title="${ANCHORS}">${anchor ? "Anchor" : "Make anchor"}</button>` : ""}
    <label>Seed <input type="number" min="0" max="2147483647" step="1" value="${seed >= 0 ? seed : ""}" placeholder="any" aria-label="Seed of shot ${at + 1}"/></label>
    ${tool("duplicate", "Duplicate", "copy", at)}${tool("remove", "Remove", "delete", at)}</div><p class="lk-how"></p></li>`;

const empty = (examples) => `<div class="lk-no-shots"><p>A board is one character in several shots. Write what happens in each of them, and where.</p>
  ${examples.length ? `<p class="lk-label">Try one of these</p>${examples.map(({ title, shots }, index) => `<button type="button" class="lk-try-board" data-do="example" data-index="${index}"><b>${escape(title)}</b><span>${escape(shots.join(" · "))}</span></button>`).join("")}` : ""}</div>`;

customElements.define("likeness-shots", Shots);
