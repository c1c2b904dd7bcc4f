// A field for one thing that is brought in: dropped, chosen, taken with the camera or copied from the examples, and kept in the
// visitor's library, so that it can be chosen again. What it is, and what is done with it, its subclass says:
//   words: {label, add, camera, kept, uploading}; setting: what the request calls it; nothing: its settings without one
//   shelf: where it is kept (see `library.js`); Camera: what takes one; accept, most: of files and pieces
//   refuses(file), settled(piece), facts(piece), thumbnail(piece), chosenView(piece), open(piece)

import { fill, form, watch } from "./form.js";
import { followLibrary, library } from "./library.js";
import { bytes, escape, icon } from "./words.js";

const button = (what, label, drawn = what) => `<button type="button" class="lk-button" data-do="${what}">${icon(drawn)}<span>${label}</span></button>`;

export const replaceButtons = (name) => `${button("replace", "Replace", "reuse")}
    <button type="button" class="lk-icon" data-do="remove" aria-label="Remove ${escape(name)}" title="Remove">${icon("delete")}</button>`;

// Pieces to choose from; what is pressed has a data-piece above it.
export const keptList = (pieces, facts, thumbnail) => `<ul class="lk-kept">${pieces.map((one) => `<li data-piece="${one.id}"><button type="button" class="lk-chip" data-do="choose" title="${escape(facts(one).join(", "))}"><img alt="" src="${thumbnail(one)}"/><span>${escape(one.name)}</span></button>
      <button type="button" class="lk-icon" data-do="remove" aria-label="Delete ${escape(one.name)}" title="Delete">${icon("delete")}</button></li>`).join("")}</ul>`;

export const dropTarget = (accept, words) => `<label class="lk-drop"><input type="file" accept="${accept}"/>${icon("add")}<span>${words}</span></label>`;

export class Bring extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method");
    this.examples ??= this.innerHTML;
    this.innerHTML = `<p class="lk-label">${this.words.label}</p><div data-part="body"></div><p class="lk-refused" role="alert"></p>`;
    this.body = this.querySelector("[data-part=body]");
    this.mode = ""; // "camera" and "upload" hide what is chosen for a while
    this.shown = null;
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do], .lk-example")));
    this.addEventListener("change", (event) => { if (event.target.type === "file") this.take([...event.target.files]); });
    this.leave = [followLibrary(() => this.show()), watch((method) => { if (method === this.method) this.show(); })];
  }

  disconnectedCallback() {
    this.leave?.forEach((leave) => leave());
    this.camera?.end();
    this.sending?.cancel();
    this.opened?.end();
  }

  values() { return form(this.method).values; }
  pieces() { return library[this.shelf.name]; }
  named(name) { return this.pieces().find((one) => one[this.setting] === name) ?? null; }
  chosen() { return this.mode ? null : this.named(this.values()[this.setting]); }

  act(pressed) {
    if (!pressed) return;
    const piece = this.pieces().find((one) => one.id === pressed.closest("[data-piece]")?.dataset.piece) ?? this.chosen();
    const verbs = {
      record: () => this.record(),
      cancel: () => this.sending?.cancel(),
      choose: () => this.choose(piece),
      replace: () => this.choose(null),
      remove: () => this.remove(piece),
    };
    this.say("");
    if (pressed.matches(".lk-example")) this.copy(pressed.dataset.file);
    else verbs[pressed.dataset.do]?.();
  }

  say(sentence) { this.querySelector(".lk-refused").textContent = sentence; }

  choose(piece) {
    this.turn("");
    fill(this.method, piece ? { ...this.nothing, ...this.settled(piece) } : this.nothing);
  }

  turn(mode) {
    this.mode = mode;
    this.show();
  }

  record() {
    this.turn("camera");
    const over = (sentence) => { this.camera = null; this.turn(""); this.say(sentence); };
    this.camera = new this.Camera(this.body, (file) => { over(""); if (file) this.take([file]); }, over);
  }

  async take([file]) {
    if (!file || this.mode === "upload") return;
    this.camera?.end();
    this.camera = null;
    const why = this.refuses(file);
    this.say(why);
    if (why) { this.turn(""); return; }
    this.turn("upload");
    this.sending = this.shelf.add(file, (sent) => this.advance(sent, file));
    this.body.innerHTML = `<div class="lk-sending"><p role="status"><b>${escape(file.name)}</b> <span></span></p><progress max="1"></progress>${button("cancel", "Cancel", "stop")}</div>`;
    this.advance(0, file);
    const answer = await this.sending.answer;
    this.sending = null;
    this.turn("");
    if (answer.error) this.say(answer.error);
    else if (answer.id) this.choose(answer);
  }

  advance(sent, file) {
    const bar = this.body.querySelector("progress");
    if (!bar) return;
    if (sent < 1) bar.value = sent; else bar.removeAttribute("value");
    this.body.querySelector("span").textContent = sent < 1 ? `${Math.round(100 * sent)} % of ${bytes(file.size)}` : "Looking at it";
  }

  async copy(file) {
    const answer = await this.shelf.example(file);
    if (answer.error) this.say(answer.error);
    else this.choose(answer);
  }

  async remove(piece) {
    const chosen = this.chosen() === piece;
    const held = Object.fromEntries(Object.keys(this.nothing).map((name) => [name, this.values()[name]]));
    this.leaving = piece.id;
    const answer = await this.shelf.remove(piece, () => { if (chosen && !this.values()[this.setting]) fill(this.method, held); });
    this.leaving = null;
    if (answer.error) this.say(answer.error);
    else if (chosen) fill(this.method, this.nothing);
  }

  // Settings of an earlier clip may name what has been deleted since, or is somebody else's.
  forget(name) {
    if (name.split("/")[1] !== this.leaving) this.say(this.words.gone);
    fill(this.method, this.nothing);
  }

  show() {
    if (this.mode) { this.shown = this.mode; return; }
    const name = this.values()[this.setting];
    if (library.loaded && name && !this.named(name)) { this.forget(name); return; }
    const piece = this.chosen();
    const now = piece ? piece.id : JSON.stringify([library.loaded, this.pieces().map((one) => one.id)]);
    if (now !== this.shown) {
      this.shown = now;
      this.opened?.end();
      this.opened = null;
      this.body.innerHTML = piece ? this.chosenView(piece) : library.loaded ? this.choice() : "";
      if (piece) this.opened = this.open(piece);
    }
    this.opened?.show(this.values());
  }

  choice() {
    const pieces = this.pieces();
    return `${dropTarget(this.accept, this.words.add)}
      <div class="lk-row lk-bring">${button("record", this.words.camera, this.words.drawn)}</div>
      ${pieces.length ? `<p class="lk-label">${this.words.kept} <span class="lk-count">${pieces.length} of ${this.most}</span></p>${keptList(pieces, (one) => this.facts(one), (one) => this.thumbnail(one))}` : ""}
      ${this.examples ? `<p class="lk-label">${pieces.length ? "Or try" : "Try"} one of these</p><div class="lk-try">${this.examples}</div>` : ""}`;
  }
}
