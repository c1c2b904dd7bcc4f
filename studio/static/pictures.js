// The pictures that a subject will be learnt from: dropped or chosen, looked at one by one, turned and cut.

import { form, fill, watch } from "./form.js";
import { addPicture, editPicture, removePicture } from "./library.js";
import { recall, remember } from "./api.js";
import { escape, icon } from "./words.js";

const METHOD = "adapt";
const KEPT = "pictures"; // what stands here outlives a reload
const shown = (one, side, source = "") => `studio/pictures/${one.id}?side=${side}&v=${one.version}${source}`;

class Pictures extends HTMLElement {
  connectedCallback() {
    this.pictures = recall(KEPT) ?? [];
    this.refused = [];
    this.busy = 0;
    this.innerHTML = `<ul class="lk-thumbs" aria-label="Pictures of the subject"></ul>
      <label class="lk-drop"><input type="file" multiple accept="image/*"/>${icon("add")}<span><b>Add pictures</b> of one subject, 1 to 10: drop them here or browse</span></label>
      <ul class="lk-refused" role="alert"></ul><dialog class="lk-dialog" aria-label="Turn and cut the picture"></dialog>`;
    const input = this.querySelector("input");
    input.addEventListener("change", async () => { await this.add([...input.files]); input.value = ""; });
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("error", (event) => this.lost(event.target), true);
    this.leave = watch((method, own) => { if (method === METHOD) this.follow(own.values.images); });
    this.show();
  }

  disconnectedCallback() { this.leave?.(); }

  // Settings taken back from an earlier training bring their pictures along; those of a subject itself are not shown here.
  follow(images) {
    if (this.busy) return;
    if (!images) { form(METHOD).values.images = this.pictures.map((one) => one.image); return; }
    const known = new Set(images);
    if (this.pictures.length && this.pictures.every((one) => known.has(one.image))) return;
    if (!images.length || images.some((name) => !name.startsWith("pictures/"))) return;
    this.pictures = images.map((image) => ({ id: image.split("/")[1], image, name: image.split("/")[2], version: 0 }));
    this.show();
  }

  async add(files) {
    this.refused = [];
    this.busy += files.length;
    this.show();
    for (const file of files) { // one by one, so that each is compared with those before it
      const answer = await addPicture(file, this.pictures.map((one) => one.id));
      this.busy -= 1;
      if (answer.error) this.refused.push(answer.error);
      else this.pictures.push(answer);
      this.show();
    }
    this.tell();
  }

  act(button) {
    if (!button) return;
    const verbs = { remove: (id) => this.remove(id), edit: (id) => this.edit(id), turn: (id) => this.turn(id) };
    verbs[button.dataset.do]?.(button.closest("[data-id]")?.dataset.id);
  }

  remove(id) {
    removePicture(id);
    this.pictures = this.pictures.filter((one) => one.id !== id);
    this.refused = [];
    this.tell();
  }

  async turn(id) {
    const one = this.pictures.find((picture) => picture.id === id);
    await this.change(one, ((one.turns ?? 0) + 1) % 4, null);
  }

  async change(one, turns, box) {
    const answer = await editPicture(one.id, { turns, box });
    if (answer.error) this.refused = [answer.error];
    else Object.assign(one, answer, { turns, box });
    this.tell();
  }

  // A picture that the studio no longer has goes from the list.
  lost(image) {
    const id = image.closest?.("[data-id]")?.dataset.id;
    if (!id || image.tagName !== "IMG") return;
    this.pictures = this.pictures.filter((one) => one.id !== id);
    this.tell();
  }

  tell() {
    remember(KEPT, this.pictures);
    fill(METHOD, { images: this.pictures.map((one) => one.image) });
    this.show();
  }

  show() {
    const [list, drop, refused] = this.children;
    drop.classList.toggle("lk-busy", this.busy > 0);
    const lines = this.refused.map((line) => `<li>${escape(line)}</li>`).join("");
    if (refused.innerHTML !== lines) refused.innerHTML = lines;
    list.hidden = !this.pictures.length && !this.busy;
    const tool = (what, label, drawn) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${label}" title="${label}">${icon(drawn)}</button>`;
    const items = this.pictures.map((one) => `<li data-id="${escape(one.id)}"><img src="${shown(one, 256)}" alt="${escape(one.name)}"/>
      <div class="lk-tools">${tool("turn", `Turn ${escape(one.name)}`, "turn")}${tool("edit", `Cut ${escape(one.name)}`, "crop")}${tool("remove", `Remove ${escape(one.name)}`, "delete")}</div></li>`);
    list.innerHTML = items.join("") + '<li class="lk-coming"></li>'.repeat(this.busy);
  }

  edit(id) {
    const one = this.pictures.find((picture) => picture.id === id);
    const dialog = this.querySelector("dialog");
    new Cutter(dialog, one, (turns, box) => this.change(one, turns, box));
    dialog.showModal();
  }
}

// A frame over the picture, dragged with the pointer or moved by keys; Shift and the arrows change its size.
class Cutter {
  constructor(dialog, one, done) {
    this.dialog = dialog;
    this.turns = one.turns ?? 0;
    this.box = one.box ?? [0, 0, 1, 1];
    dialog.innerHTML = `<div class="lk-cutter"><img alt="${escape(one.name)}" src="${shown(one, 1024, "&source=1")}"/><div class="lk-frame" tabindex="0" role="group"
        aria-label="Part that is kept. Arrow keys move it, with Shift they change its size"></div></div>
      <p class="lk-hint">Drag over the part to keep.</p>
      <div class="lk-row"><button type="button" class="lk-button" data-cut="turn">${icon("turn")}<span>Turn</span></button>
      <button type="button" class="lk-button" data-cut="all">Whole picture</button><button type="button" class="lk-button" data-cut="cancel">Cancel</button>
      <button type="button" class="lk-button lk-primary" data-cut="keep">Keep this part</button></div>`;
    this.stage = dialog.querySelector(".lk-cutter");
    this.picture = dialog.querySelector("img");
    this.frame = dialog.querySelector(".lk-frame");
    this.picture.addEventListener("load", () => this.place());
    this.stage.addEventListener("pointerdown", (event) => this.begin(event));
    this.frame.addEventListener("keydown", (event) => this.keys(event));
    const verbs = {
      turn: () => { this.turns = (this.turns + 1) % 4; this.box = [0, 0, 1, 1]; this.place(); },
      all: () => { this.box = [0, 0, 1, 1]; this.place(); },
      cancel: () => dialog.close(),
      keep: async () => { await done(this.turns, whole(this.box) ? null : this.box); dialog.close(); },
    };
    dialog.onclick = (event) => verbs[event.target.closest("[data-cut]")?.dataset.cut]?.();
  }

  place() {
    const side = this.turns % 2;
    const [w, h] = [this.picture.naturalWidth, this.picture.naturalHeight];
    if (!w) return;
    const [across, down] = side ? [h, w] : [w, h];
    const scale = Math.min(Math.min(window.innerWidth - 80, 560) / across, (window.innerHeight - 260) / down);
    Object.assign(this.stage.style, { width: `${across * scale}px`, height: `${down * scale}px` });
    Object.assign(this.picture.style, { width: `${w * scale}px`, height: `${h * scale}px`, transform: `translate(-50%, -50%) rotate(${90 * this.turns}deg)` });
    this.mark();
  }

  mark() {
    const [left, top, right, bottom] = this.box.map((share) => 100 * share);
    Object.assign(this.frame.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  begin(event) {
    event.preventDefault();
    const place = this.stage.getBoundingClientRect();
    const at = (e) => [clamp((e.clientX - place.left) / place.width), clamp((e.clientY - place.top) / place.height)];
    const [x, y] = at(event);
    this.stage.setPointerCapture(event.pointerId);
    const drag = (e) => {
      const [u, v] = at(e);
      if (Math.abs(u - x) > 0.03 && Math.abs(v - y) > 0.03) { this.box = [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)]; this.mark(); }
    };
    this.stage.addEventListener("pointermove", drag);
    this.stage.addEventListener("pointerup", () => this.stage.removeEventListener("pointermove", drag), { once: true });
  }

  keys(event) {
    const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [left, top, right, bottom] = this.box;
    if (event.shiftKey) this.box = [left, top, Math.max(left + 0.1, clamp(right + step[0])), Math.max(top + 0.1, clamp(bottom + step[1]))];
    else {
      const [x, y] = [Math.max(-left, Math.min(1 - right, step[0])), Math.max(-top, Math.min(1 - bottom, step[1]))];
      this.box = [left + x, top + y, right + x, bottom + y];
    }
    this.mark();
  }
}

const clamp = (share) => Math.min(Math.max(share, 0), 1);
const whole = (box) => box.every((share, index) => Math.abs(share - [0, 0, 1, 1][index]) < 0.005);

customElements.define("likeness-pictures", Pictures);
