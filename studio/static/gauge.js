// A figure with its name, a meter and what it means.

// `low` and `high` are the ends of the meter; a value that is no number is said not to be measurable.
export function gauge({ label, value, low = 0, high = 1, said = value?.toFixed?.(2), help }) {
  const known = Number.isFinite(value);
  const shown = Math.min(Math.max(value, low), high);
  const meter = known ? `<span class="lk-meter" role="meter" aria-label="${label}" aria-valuemin="${low}" aria-valuemax="${high}" aria-valuenow="${shown}" ${low < 0 ? "data-signed" : ""}><i style="width: ${(100 * (shown - low)) / (high - low)}%"></i></span>` : "";
  return `<div class="lk-gauge"><dt>${label}</dt><dd>${known ? said : "not measurable"}</dd>${meter}<p>${help}</p></div>`;
}
