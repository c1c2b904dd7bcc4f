// Small elements beside gradio's own widgets: the estimate, seed buttons, shapes, examples and the drop target.

import { fill, form, restore } from "./form.js";
import { FormPart } from "./formpart.js";
import { selected } from "./jobs.js";
import { importLora, importSubject } from "./library.js";
import { bytes, duration, escape, icon } from "./words.js";

class Estimate extends FormPart {
  build() {
    this.innerHTML = '<ul class="lk-notes" aria-live="polite"></ul><dl class="lk-estimate" aria-label="Estimate"></dl><p class="lk-problem" role="alert"></p>';
  }

  show({ estimate, problem }) {
    const [notes, figures, alert] = this.children;
    const sentence = problem || estimate?.error || "";
    if (alert.textContent !== sentence) alert.textContent = sentence;
    const told = (estimate?.notes ?? []).filter((note) => !estimate.reads || !note.endsWith(estimate.reads)); // that stands by the prompt
    const lines = told.map((note) => `<li>${escape(note)}</li>`).join("");
    if (notes.innerHTML !== lines) notes.innerHTML = lines;
    figures.hidden = !estimate || Boolean(estimate.error);
    if (figures.hidden) return;
    const rows = [["Time", `≈ ${duration(estimate.seconds)}`], ["Memory", `≈ ${bytes(estimate.memory_bytes)}`], ["Download", bytes(estimate.download_bytes)]];
    figures.innerHTML = rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("");
  }
}

class ModelCard extends FormPart {
  show({ estimate }) {
    const model = estimate?.model;
    if (!model) return;
    const where = model.on_disk ? '<b class="lk-here">On disk</b>' : `<b>${model.downloadable ? "To download" : "Not on disk"}</b>`;
    this.innerHTML = `<p>${escape(model.description)}</p><p class="lk-facts"><span>${where}</span><span>${bytes(model.bytes)}</span><span>${escape(model.licence)}</span></p>`;
  }
}

class Seed extends FormPart {
  build() {
    this.innerHTML = `<button type="button" class="lk-icon" data-do="dice" aria-label="A new seed for every clip" title="A new seed for every clip">${icon("dice")}</button>
      <button type="button" class="lk-icon" data-do="lock" aria-label="Keep one seed" title="Keep one seed">${icon("lock")}</button>`;
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) fill(this.method, { seed: button.dataset.do === "dice" ? -1 : this.kept() });
    });
  }

  kept() {
    const now = form(this.method).values.seed;
    return now >= 0 ? now : selected()?.seed ?? Math.floor(Math.random() * 2 ** 31);
  }

  show({ values }) {
    const random = !(values.seed >= 0);
    this.children[0].setAttribute("aria-pressed", random);
    this.children[1].setAttribute("aria-pressed", !random);
  }
}

const TAKEN = [["Object motion", 0.6, "Objects move as they do in the source"], ["Camera motion", 0.3, "The camera moves as in the source, objects are freer"]];

// How much is taken over, as two common choices.
class Taken extends FormPart {
  build() {
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "What is taken over");
    this.innerHTML = TAKEN.map(([name, strength, help]) => `<button type="button" class="lk-chip" data-strength="${strength}" title="${help}">${name}</button>`).join("");
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) fill(this.method, { strength: Number(button.dataset.strength) });
    });
  }

  show({ values }) {
    for (const button of this.children) button.setAttribute("aria-pressed", Math.abs(values.strength - button.dataset.strength) < 1e-6);
  }
}

const SHAPES = [["Square", 1, 1], ["Wide", 3, 2], ["Tall", 2, 3]];

class Shapes extends FormPart {
  build() {
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Shape of the clip");
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) fill(this.method, { width: Number(button.dataset.width), height: Number(button.dataset.height) });
    });
  }

  show({ estimate, values }) {
    if (!estimate?.model) return;
    this.innerHTML = SHAPES.map(([name, across, down]) => {
      const [width, height] = fitted(estimate.model, this.method, across / down);
      const pressed = values.width === width && values.height === height;
      const [w, h] = across >= down ? [16, (16 * down) / across] : [(16 * across) / down, 16];
      return `<button type="button" class="lk-chip" aria-pressed="${pressed}" data-width="${width}" data-height="${height}" title="${width} × ${height} px">
        <i style="width:${w}px;height:${h}px"></i>${name}</button>`;
    }).join("");
  }
}

// Width and height of a given proportion with the area of the model's own size for this method, on its grid.
function fitted(model, method, ratio) {
  const wanted = { ...model.defaults, ...model.wishes?.[method] };
  const area = wanted.width * wanted.height;
  const snap = (side) => Math.min(Math.max(Math.round(side / model.size_multiple) * model.size_multiple, model.min_size), model.max_size);
  const own = wanted.width / wanted.height;
  if (Math.abs(own / ratio - 1) < 0.2) return [wanted.width, wanted.height];
  return [snap(Math.sqrt(area * ratio)), snap(Math.sqrt(area / ratio))];
}

class Examples extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      fill(this.getAttribute("method"), { prompt: button.dataset.prompt });
      document.querySelector(".lk-prompt textarea")?.focus();
    });
    for (const button of this.querySelectorAll("button")) {
      const video = button.querySelector("video");
      const play = () => video.play().catch(() => {}); // pointing at the next card interrupts the start of this one
      for (const name of ["pointerenter", "focus"]) button.addEventListener(name, play);
      for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => video.pause());
    }
  }
}

class Restore extends HTMLElement {
  connectedCallback() {
    this.innerHTML = `<label class="lk-drop"><input type="file" accept="video/mp4,image/gif,image/png,.mp4,.gif,.png,.apng"/>${icon("reuse")}
      <span><b>Restore settings</b> from a clip: drop it here or browse</span></label>`;
    const input = this.querySelector("input");
    input.addEventListener("change", async () => {
      if (input.files[0]) await restore(input.files[0]);
      input.value = "";
    });
  }
}

const carriesFile = (event) => event.dataTransfer?.types?.includes("Files");

// A clip may be dropped anywhere on the page; without this the browser would leave the page and open the file.
export function acceptDrops() {
  const mark = (on) => {
    document.body.classList.toggle("lk-dropping", on);
    document.body.classList.toggle("lk-for-motion", on && Boolean(inSight("likeness-source")));
    document.body.classList.toggle("lk-for-grid", on && Boolean(inSight("likeness-cells")));
    document.body.classList.toggle("lk-for-face", on && Boolean(inSight("likeness-photo")));
    document.body.classList.toggle("lk-for-picture", on && Boolean(inSight("likeness-picture")));
  };
  document.addEventListener("dragover", (event) => { if (carriesFile(event)) { event.preventDefault(); mark(true); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    event.stopPropagation();
    mark(false);
    takeIn([...event.dataTransfer.files], event.target);
  }, true);
}

const inSight = (name) => [...document.querySelectorAll(name)].find((element) => element.offsetParent);

// What a dropped file is for follows from its kind, and for pictures, photos and clips from the tab that is open.
function takeIn(files, place) {
  const [first] = files;
  const pictures = inSight("likeness-pictures");
  const shots = inSight("likeness-shots");
  const toRestore = place.closest?.("likeness-restore");
  const source = toRestore ? null : inSight("likeness-source");
  const cells = toRestore ? null : inSight("likeness-cells");
  const photo = toRestore || first?.type.startsWith("video/") ? null : inSight("likeness-photo, likeness-picture");
  if (!first) return;
  if (/\.zip$/i.test(first.name)) importSubject(first);
  else if (/\.safetensors$/i.test(first.name)) importLora(first);
  else if (shots && /\.(txt|json)$/i.test(first.name)) shots.read(first);
  else if (pictures) pictures.add(files);
  else if (source) source.take(files);
  else if (cells) cells.take(files, place);
  else if (photo) photo.take(files);
  else restore(first);
}

customElements.define("likeness-estimate", Estimate);
customElements.define("likeness-model", ModelCard);
customElements.define("likeness-seed", Seed);
customElements.define("likeness-taken", Taken);
customElements.define("likeness-shapes", Shapes);
customElements.define("likeness-examples", Examples);
customElements.define("likeness-restore", Restore);
