// What stands in a panel's form: remembered across reloads, filled from outside, and estimated while it changes.
// gradio owns the widgets; it hands their values over in the order of `names` and takes values back the same way. What our own
// elements hold (the subject, its pictures) has no widget and stands beside those values.

import { call, recall, remember } from "./api.js";
import { submit } from "./jobs.js";
import { toast } from "./toast.js";

const forms = new Map(); // method -> {values, names, choices, pending, timer, asked, estimate, problem}
const listeners = new Set();
const guards = new Map(); // method -> what may know that sending would be in vain

// The Generate tab asks for a clip of a subject, with a picture for one of what it shows, without either for a plain one: a whole
// request, not a setting of it, says which of them is meant.
const MEANT = { generate: { subject: "", pictured: false }, personalise: { pictured: false }, "subject-from-image": { subject: "", pictured: true } };
const tabOf = (method) => (method in MEANT ? "personalise" : method);

export function form(method) {
  const key = tabOf(method);
  if (!forms.has(key)) forms.set(key, { values: {}, names: [], choices: {}, pending: {}, timer: 0, asked: 0, estimate: null, problem: "" });
  return forms.get(key);
}

export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// `objection()` answers a sentence, or "" if there is nothing to object. Returns how to end that.
export function guard(method, objection) {
  guards.set(tabOf(method), objection);
  return () => { if (guards.get(tabOf(method)) === objection) guards.delete(tabOf(method)); };
}

let models = []; // what the studio offers, with each model's defaults and limits

async function loadModels() {
  if (!models.length) models = (await call("studio/models")).models ?? [];
}

export const titleOf = (name) => models.find((model) => model.name === name)?.title ?? name;

// Values in the order of the widgets; a slider whose range depends on the model gets that range along with its value, a choice
// that grows what there is to choose from.
function handOver(own, names) {
  const limits = models.find((model) => model.name === own.values.model)?.limits ?? {};
  const more = (name) => limits[name] ?? own.choices[name];
  return names.map((name) => (more(name) ? { __type__: "update", ...more(name), value: own.values[name] } : own.values[name]));
}

// What there is to choose from for a setting, as [label, value].
export function offer(method, name, choices) {
  const own = form(method);
  if (JSON.stringify(own.choices[name]?.choices) === JSON.stringify(choices)) return;
  own.choices[name] = { choices };
  if (own.names.length) fill(method, {});
}

const announce = (method) => listeners.forEach((listener) => listener(tabOf(method), form(method)));
const together = (names, values) => Object.fromEntries(names.map((name, index) => [name, values[index]]));

async function ask(method) {
  const own = form(method);
  const ticket = ++own.asked;
  const answer = await call("studio/estimate", { method, settings: own.values });
  if (ticket !== own.asked) return; // a newer question is on its way
  own.estimate = answer.offline ? own.estimate : answer;
  announce(method);
}

export function changed(method, names, values) {
  const own = form(method);
  own.values = { ...own.values, ...together(names, values) };
  own.problem = "";
  remember(`form.${method}`, own.values);
  announce(method);
  clearTimeout(own.timer);
  own.timer = setTimeout(() => ask(method), 200);
}

// The values a page starts with: what the visitor left, on top of the defaults.
export async function start(method, names, values) {
  const kept = recall(`form.${method}`) ?? {};
  const own = form(method);
  own.names = names;
  own.values = { ...together(names, values), ...kept };
  ask(method);
  announce(method);
  await loadModels();
  return handOver(own, names);
}

export function take(method, names) {
  const own = form(method);
  own.values = { ...own.values, ...own.pending };
  own.pending = {};
  changed(method, names, names.map((name) => own.values[name]));
  return handOver(own, names);
}

// What our own elements hold: no widget has to be told.
export const set = (method, settings) => changed(method, Object.keys(settings), Object.values(settings));

export function fill(method, settings) {
  const whole = "prompt" in settings && "model" in settings;
  form(method).pending = { ...form(method).pending, ...(whole ? MEANT[method] : {}), ...settings };
  document.querySelector(`#fill-${tabOf(method)}`)?.click();
}

const TABS = { "transfer-motion": "Motion", storyboard: "Storyboard", grid: "Grid", face: "Face", adapt: "Subject", "train-subjects": "Train", "train-face": "Train" };
export const tabName = (method) => TABS[method] ?? "Generate";

export function openTab(name) {
  const tabs = document.querySelectorAll('.lk-tabs [role="tab"], .lk-tabs .overflow-dropdown button'); // those without room are in a menu
  [...tabs].find((tab) => tab.textContent.trim() === name)?.click();
}

// The same, and the form comes into sight; a tab that was never open has no form yet.
export async function fillIn(method, settings) {
  openTab(tabName(method));
  for (let tries = 0; tries < 100 && !document.querySelector(`#fill-${tabOf(method)}`); tries += 1) await new Promise((done) => { setTimeout(done, 50); });
  fill(method, settings);
}

export async function send(method, names, values) {
  const own = form(method);
  if (own.sending) return;
  own.sending = true;
  own.values = { ...own.values, ...together(names, values) };
  const why = guards.get(tabOf(method))?.();
  const answer = why ? { error: why } : await submit(method, own.values);
  own.sending = false;
  own.problem = answer.error ?? "";
  announce(method);
  if (!answer.error && window.innerWidth < 900) shownScreen()?.scrollIntoView({ behavior: "smooth", block: "start" });
}

const shownScreen = () => [...document.querySelectorAll("likeness-stage, likeness-training, likeness-course")].find((screen) => screen.offsetParent);

// What a method would like of a model instead of its defaults, and those defaults again.
export const wished = (name, method) => models.find((entry) => entry.name === name)?.wishes?.[method] ?? {};
export function unwished(name, method) {
  const usual = models.find((entry) => entry.name === name)?.defaults ?? {};
  return Object.fromEntries(Object.keys(wished(name, method)).filter((setting) => setting in usual).map((setting) => [setting, usual[setting]]));
}

// A new model brings its own size, length and steps, those of `settings` that it has defaults for; `also` goes with it.
export async function chooseModel(method, name, settings = form(method).names, also = {}) {
  await loadModels();
  const model = models.find((entry) => entry.name === name);
  const brought = Object.entries({ ...model?.defaults, ...model?.wishes?.[method] }).filter(([setting]) => settings.includes(setting));
  if (model) fill(method, { model: name, ...Object.fromEntries(brought), ...also });
}

export async function restore(file) {
  const most = 256 * 1024 * 1024;
  const answer = file.size > most ? { error: `${file.name} is too large to be a clip of ours.` } : await call("studio/restore", file, { "X-Name": encodeURIComponent(file.name) });
  if (answer.error) {
    toast(answer.error, { tone: "bad", seconds: 9 });
    return;
  }
  await fillIn(answer.method, answer.settings);
  toast([`Settings restored from ${file.name}.`, ...answer.notes].join(" "), { seconds: answer.notes.length ? 9 : 6 });
}

// A slider pulls a typed number back into its range without a word; say it.
document.addEventListener("change", ({ target: field }) => {
  const slider = field.type === "number" && field.closest(".block")?.querySelector("input[type=range]");
  if (!slider || !field.value) return;
  const asked = Number(field.value);
  const taken = Math.min(Math.max(asked, Number(slider.min)), Number(slider.max));
  if (taken !== asked) toast(`${asked} became ${taken}: this setting goes from ${slider.min} to ${slider.max} here.`);
}, true);
