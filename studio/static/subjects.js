// Subjects as cards in the library, as a choice in the Generate tab, and the visitor's own LoRAs beside them.

import { offered } from "./adapters.js";
import { chooseModel, fill, form, openTab, unwished, watch, wished } from "./form.js";
import { deleteLora, deleteSubject, followLibrary, importLora, importSubject, library, pictureOf, refreshLibrary, renameSubject, subjectOf, trainFurther } from "./library.js";
import { refresh } from "./jobs.js";
import { bytes, escape, icon } from "./words.js";

const METHOD = "personalise";
const PICTURED = "subject-from-image";
const key = (value) => JSON.stringify(value);

export async function use(subject) {
  openTab("Generate");
  await choose(subject);
}

async function choose(subject, method = METHOD) {
  const { model, pictured } = form(method).values;
  const usual = pictured ? unwished(model, PICTURED) : {};
  if (subject && model !== subject.model) await chooseModel(method, subject.model);
  fill(method, { subject: subject?.subject ?? "", ...(method === METHOD ? { ...usual, reference: 0, pictured: false } : {}) });
}

class Cards extends HTMLElement {
  connectedCallback() {
    this.innerHTML = `<header><h2>Your subjects</h2><p class="lk-count"></p><span class="lk-gap"></span>
      <label class="lk-button lk-file"><input type="file" accept=".zip,application/zip"/>${icon("up")}<span>Import</span></label></header><ul class="lk-subjects"></ul><p class="lk-none"></p>`;
    this.open = ""; // the card with a form in it: "slug rename" or "slug further"
    const input = this.querySelector("input");
    input.addEventListener("change", async () => { if (input.files[0]) await importSubject(input.files[0]); input.value = ""; });
    this.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")));
    this.addEventListener("submit", (event) => this.submit(event));
    this.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.open) this.turn(""); });
    this.leave = followLibrary(() => this.show());
  }

  disconnectedCallback() { this.leave?.(); }

  turn(what) {
    this.open = what;
    this.show();
    this.querySelector("form input")?.select();
  }

  act(button) {
    const subject = library.subjects.find((one) => one.slug === button?.closest("[data-slug]")?.dataset.slug);
    if (!subject) return;
    const verbs = {
      use: () => use(subject),
      rename: () => this.turn(`${subject.slug} rename`),
      further: () => this.turn(`${subject.slug} further`),
      close: () => this.turn(""),
      delete: () => deleteSubject(subject),
    };
    verbs[button.dataset.do]?.();
  }

  async submit(event) {
    event.preventDefault();
    const [slug, what] = this.open.split(" ");
    const value = event.target.elements[0].value;
    const answer = what === "rename" ? await renameSubject(slug, value) : await trainFurther(slug, Number(value));
    if (answer.error) return;
    this.turn("");
    if (what === "further") { await refresh(); openTab("Subject"); }
  }

  show() {
    const { subjects, loaded } = library;
    this.querySelector(".lk-count").textContent = subjects.length || "";
    this.querySelector(".lk-none").textContent = subjects.length || !loaded ? "" : "Subjects that you teach the model stay here, for you alone. A zip that was exported here can be imported again.";
    const now = key([subjects, this.open]);
    if (now === this.shown) return;
    this.shown = now;
    this.querySelector(".lk-subjects").innerHTML = subjects.map((one) => card(one, this.open.startsWith(`${one.slug} `) ? this.open.split(" ")[1] : "")).join("");
  }
}

function card(one, open) {
  const button = (what, label, drawn) => `<button type="button" class="lk-icon" data-do="${what}" aria-label="${label} ${escape(one.name)}" title="${label}">${icon(drawn)}</button>`;
  if (one.problem) {
    return `<li data-slug="${one.slug}" class="lk-subject"><div class="lk-about"><b>${escape(one.name)}</b><p>${escape(one.problem)}</p></div><div class="lk-row">${button("delete", "Delete", "delete")}</div></li>`;
  }
  const picture = one.pictures ? `<img loading="lazy" alt="" src="${pictureOf(one, 0)}"/>` : `<span class="lk-blank">${icon("clip")}</span>`;
  const facts = [`${one.steps} steps`, one.model, `rank ${one.rank}`, ...(one.adapts.includes("query") ? ["queries too"] : [])];
  const forms = {
    rename: `<form class="lk-inline"><input aria-label="New name" value="${escape(one.name)}" maxlength="40" required/><button class="lk-button lk-primary">Rename</button>
      <button type="button" class="lk-button" data-do="close">Cancel</button></form>`,
    further: `<form class="lk-inline"><input aria-label="More steps" type="number" value="100" min="1" max="10000" required/><button class="lk-button lk-primary">Train more steps</button>
      <button type="button" class="lk-button" data-do="close">Cancel</button></form>`,
  };
  return `<li data-slug="${one.slug}" class="lk-subject"><button type="button" class="lk-card" data-do="use" aria-label="Use ${escape(one.name)}">${picture}</button>
    <div class="lk-about"><b>${escape(one.name)}</b><p>In prompts: <code>${escape(one.phrase)}</code></p><p class="lk-facts">${facts.map((fact) => `<span>${escape(fact)}</span>`).join("")}</p>${sparkline(one.losses)}</div>
    ${forms[open] ?? `<div class="lk-row"><button type="button" class="lk-button lk-primary" data-do="use"><span>Use</span></button>${button("further", "Train further", "more")}${button("rename", "Rename", "edit")}
      <a class="lk-icon" download href="studio/subjects/${one.slug}/export.zip" aria-label="Export ${escape(one.name)}" title="Export">${icon("download")}</a>${button("delete", "Delete", "delete")}</div>`}</li>`;
}

// The losses of a training as a small line; the first values would hide the rest, so the scale is that of the 95 % below.
export function sparkline(losses, width = 220, height = 36) {
  if (losses.length < 2) return "";
  const ordered = [...losses].sort((a, b) => a - b);
  const [low, high] = [ordered[0], ordered[Math.floor(0.95 * (ordered.length - 1))]];
  const y = (loss) => height - 2 - (height - 4) * Math.min(1, (loss - low) / (high - low || 1));
  const points = losses.map((loss, index) => `${((index / (losses.length - 1)) * width).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  return `<svg class="lk-losses" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="Loss from ${losses[0]} to ${losses.at(-1)}"><polyline points="${points}"/></svg>`;
}

// The choice above the prompt: nobody, one of the visitor's subjects, and which of its pictures is warped in, or whatever one
// picture shows, where an adapter is that can look at one.
class Pick extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method") ?? METHOD;
    this.addEventListener("click", (event) => this.act(event.target.closest("button")));
    this.leave = [followLibrary(() => this.show()), watch((method) => { if (method === this.method) this.show(); })];
  }

  disconnectedCallback() { this.leave?.forEach((leave) => leave()); }

  act(button) {
    if (!button) return;
    if ("new" in button.dataset) openTab("Subject");
    else if ("picture" in button.dataset) fill(this.method, { subject: "", pictured: true, ...wished(form(this.method).values.model, PICTURED) });
    else if ("reference" in button.dataset) fill(this.method, { reference: Number(button.dataset.reference) });
    else if ("insert" in button.dataset) this.insert(subjectOf(form(this.method).values.subject));
    else choose(subjectOf(button.dataset.subject), this.method);
  }

  insert(subject) {
    const prompt = (form(this.method).values.prompt ?? "").trim();
    fill(this.method, { prompt: prompt ? `${subject.phrase} ${prompt}` : `a ${subject.phrase}` });
    this.closest(".lk-controls").querySelector(".lk-prompt :is(textarea, input)")?.focus();
  }

  show() {
    const { values, estimate } = form(this.method);
    const chosen = subjectOf(values.subject);
    if (library.loaded && values.subject && !chosen) { fill(this.method, { subject: "" }); return; } // it has been deleted
    const pictures = this.hasAttribute("offered") && offered(this, PICTURED).length > 0;
    const pictured = pictures && Boolean(values.pictured);
    if (values.pictured && library.loaded && !pictures) { fill(this.method, { pictured: false }); return; } // it has been on this machine
    const now = key([library.subjects.map((one) => [one.slug, one.name, one.changed]), pictures, pictured, values.subject, values.reference, values.injection, values.prompt, estimate?.reads]);
    if (now === this.shown) return;
    this.shown = now;
    Object.assign(this.closest(".lk-controls").dataset, { subject: chosen?.slug ?? "", pictured: pictured ? "yes" : "" });
    const focus = [...this.querySelectorAll("button")].indexOf(document.activeElement);
    this.innerHTML = `<div class="lk-pick" role="group" aria-label="Subject">${chip("", "No subject", "", !chosen && !pictured)}${library.subjects.filter((one) => !one.problem).map((one) => chip(one.subject, one.name, one.pictures ? pictureOf(one, 0, 64) : "", one === chosen)).join("")}
      ${pictures ? `<button type="button" class="lk-chip" data-picture aria-pressed="${pictured}">${icon("camera")}From one picture</button>` : ""}
      <button type="button" class="lk-chip" data-new>${icon("add")}New</button></div>${chosen ? about(chosen, values, estimate) : ""}`;
    this.querySelectorAll("button")[focus]?.focus();
  }
}

const chip = (subject, name, picture, pressed) =>
  `<button type="button" class="lk-chip" data-subject="${escape(subject)}" aria-pressed="${pressed}">${picture ? `<img alt="" src="${picture}"/>` : ""}${escape(name)}</button>`;

function about(one, values, estimate) {
  const named = (values.prompt ?? "").includes(one.token) || new RegExp(`\\b${one.class_word.replace(/[^\w ]/g, "\\$&")}\\b`, "i").test(values.prompt ?? "");
  const reads = named && estimate?.reads ? `<p class="lk-reads">Reads: ${escape(estimate.reads).replaceAll(escape(one.token), `<mark>${escape(one.token)}</mark>`)}</p>`
    : `<p class="lk-reads">Say <button type="button" class="lk-link" data-insert>${escape(one.phrase)}</button> ${"injection" in values ? "in the prompt" : "as the character"}.</p>`;
  const pictures = "injection" in values && one.pictures > 1 && values.injection !== "off" ? `<div class="lk-references" role="group" aria-label="Picture that appearance is taken from">${Array.from({ length: one.pictures }, (_, index) =>
    `<button type="button" data-reference="${index}" aria-pressed="${index === (values.reference ?? 0)}" aria-label="Picture ${index + 1}"><img loading="lazy" alt="" src="${pictureOf(one, index, 96)}"/></button>`).join("")}</div>` : "";
  return reads + pictures;
}

// A LoRA of the visitor's own on top of the model.
class Loras extends HTMLElement {
  connectedCallback() {
    this.method = this.getAttribute("method") ?? METHOD;
    this.addEventListener("click", (event) => this.act(event.target.closest("button")));
    this.addEventListener("change", (event) => this.add(event.target));
    this.leave = [followLibrary(() => this.show()), watch((method) => { if (method === this.method) this.show(); })];
  }

  disconnectedCallback() { this.leave?.forEach((leave) => leave()); }

  act(button) {
    if (!button) return;
    const chosen = library.loras.find((one) => one.lora === button.dataset.lora);
    if (button.dataset.do === "delete") deleteLora(chosen);
    else fill(this.method, { lora: chosen?.lora ?? "" });
  }

  async add(input) {
    if (!input.files?.[0]) return;
    const answer = await importLora(input.files[0]);
    if (!answer.error) fill(this.method, { lora: `loras/${answer.file}` });
    input.value = "";
  }

  show() {
    const { values } = form(this.method);
    if (library.loaded && values.lora && !library.loras.some((one) => one.lora === values.lora)) { fill(this.method, { lora: "" }); return; }
    const now = key([library.loras, values.lora]);
    if (now === this.shown) return;
    this.shown = now;
    this.closest(".lk-controls").dataset.lora = values.lora ?? "";
    const rows = library.loras.map((one) => `<span class="lk-pair"><button type="button" class="lk-chip" data-lora="${escape(one.lora)}" aria-pressed="${one.lora === values.lora}" title="${bytes(one.bytes)}">${escape(one.file.replace(/\.safetensors$/, ""))}</button>
      <button type="button" class="lk-icon" data-do="delete" data-lora="${escape(one.lora)}" aria-label="Delete ${escape(one.file)}" title="Delete">${icon("delete")}</button></span>`).join("");
    this.innerHTML = `<p class="lk-label">Your LoRAs</p><div class="lk-pick" role="group" aria-label="LoRA">${library.loras.length ? `<button type="button" class="lk-chip" data-lora="" aria-pressed="${!values.lora}">None</button>` : ""}${rows}
      <label class="lk-chip lk-file"><input type="file" accept=".safetensors"/>${icon("add")}Add a file</label></div>`;
  }
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshLibrary(); });
customElements.define("likeness-subjects", Cards);
customElements.define("likeness-pick", Pick);
customElements.define("likeness-loras", Loras);
