// A board in figures: how alike the character is in each pair of shots, and how many move, beside the same shots drawn alone.

import { matrix, shade } from "./matrix.js";
import { escape } from "./words.js";

const known = (table) => table.flat().filter(Number.isFinite);
const figure = (value) => (Number.isFinite(value) ? value.toFixed(2) : "not measurable");

function gauge(label, value, alone, most, help) {
  const meter = (one, name) => `<span class="lk-meter" role="meter" aria-label="${label}, ${name}" aria-valuemin="0" aria-valuemax="${most}" aria-valuenow="${one ?? 0}"><i style="width: ${(100 * Math.min(Math.max(one ?? 0, 0), most)) / most}%"></i></span>`;
  const said = (one) => (most === 1 ? figure(one) : `${one} of ${most}`);
  return `<div class="lk-gauge lk-double"><dt>${label}</dt><dd>${said(value)}</dd>${meter(value, "together")}<dt class="lk-faint">Drawn alone</dt><dd class="lk-faint">${said(alone)}</dd>${meter(alone, "drawn alone")}<p>${help}</p></div>`;
}

function table(rows, numbers, low, label) {
  const heads = numbers.map((number) => number + 1);
  const share = (value) => (value - low) / (1 - low || 1);
  const cell = (value, same) => (same ? '<td class="lk-same"></td>' : Number.isFinite(value) ? shade(share(value), value.toFixed(2)) : '<td title="The character was not found in one of the two.">–</td>');
  return matrix(label, heads, rows.map((row, at) => [heads[at], row.map((value, other) => cell(value, at === other))]));
}

export function figures({ request, values = {} }) {
  const { shots = [], dynamic = [], dynamic_alone: still = [], similarity, similarity_alone: alone } = values;
  const moving = (all) => all.filter(Boolean).length;
  const more = dynamic.length ? gauge("Shots that move", moving(dynamic), moving(still), dynamic.length, "A film of one character in one pose would be alike too.") : "";
  if (request.only?.length) return "<p class=\"lk-how\">How alike the shots are is measured when a board is drawn whole.</p>";
  if (shots.length < 2) return "";
  if (!similarity || !alone) return `<p class="lk-how">How alike the shots are cannot be measured here.</p><dl class="lk-gauges">${more}</dl>`;
  const low = Math.min(...known(similarity), ...known(alone), 0.9);
  const by = values.consistency_by ? `, as seen by ${escape(values.consistency_by)}` : "";
  return `<dl class="lk-gauges">${gauge("Likeness of the character", values.consistency, values.consistency_alone, 1, `From shot to shot${by}: 1 is the same.`)}${more}</dl>
    <div class="lk-matrices">${table(similarity, shots, low, "Each pair of shots")}${table(alone, shots, low, "The same shots, drawn alone")}</div>`;
}
