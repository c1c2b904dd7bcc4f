// The curves of a training as they grow: lines of one sort in one chart, the newest value of each beside its name.

const SORTS = [
  { starts: "loss", title: "Loss", help: "How far off it still is: the lower, the better." },
  { starts: "phi", title: "Conflict (phi)", help: "1: both tasks pull the same way; 0: they leave each other alone; below: they are at odds.", low: -1, high: 1 },
  { starts: "norm", title: "Gradient norms", help: "How strongly each task pulls." },
];
const [WIDE, HIGH] = [300, 100];

// Curves that belong together: those of single tasks instead of their mixture, those of groups of layers not at all.
function sorted(curves) {
  return SORTS.map((sort) => {
    const names = Object.keys(curves).filter((name) => name.startsWith(sort.starts) && !name.includes(","));
    const single = names.filter((name) => name !== sort.starts && !name.startsWith(`${sort.starts}s`));
    return { ...sort, names: single.length ? single : names };
  }).filter(({ names }) => names.some((name) => curves[name].length));
}

function figure(value, sort) {
  if (!Number.isFinite(value)) return "–";
  if ("low" in sort) return value.toFixed(2).replace(/^-(0\.00)$/, "$1");
  return Math.abs(value) >= 0.001 || value === 0 ? value.toPrecision(3) : value.toExponential(1);
}

// The range of all lines: that of 95 % of the values, since the first ones would hide the rest.
function range(values, sort) {
  if ("low" in sort) return [sort.low, sort.high];
  const ordered = values.filter(Number.isFinite).sort((a, b) => a - b);
  const high = ordered[Math.floor(0.97 * (ordered.length - 1))] ?? 1;
  const low = ordered[0] ?? 0;
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function line(values, [low, high]) {
  const across = (place) => (values.length > 1 ? (WIDE * place) / (values.length - 1) : WIDE / 2);
  const down = (value) => 4 + (HIGH - 8) * (1 - Math.min(Math.max((value - low) / (high - low), 0), 1));
  const points = values.map((value, place) => (Number.isFinite(value) ? `${across(place).toFixed(1)},${down(value).toFixed(1)}` : "")).filter(Boolean);
  return `<polyline points="${points.length > 1 ? points.join(" ") : `${points[0]} ${points[0]}`}"/>`;
}

function chart(sort, curves) {
  const [low, high] = range(sort.names.flatMap((name) => curves[name]), sort);
  const zero = low < 0 && high > 0 ? `<path class="lk-mark" d="M0 ${HIGH / 2}H${WIDE}"/>` : "";
  const legend = sort.names.map((name, place) => `<span data-line="${place}">${sort.names.length > 1 ? name.slice(sort.starts.length).trim() : ""} <b>${figure(curves[name].at(-1), sort)}</b></span>`).join("");
  const said = sort.names.map((name) => `${name} ${figure(curves[name].at(-1), sort)}`).join(", ");
  return `<figure class="lk-chart" title="${sort.help}"><figcaption><b>${sort.title}</b>${legend}</figcaption>
    <div><i>${figure(high, sort)}</i><i>${figure(low, sort)}</i><svg viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label="${said}. ${sort.help}">${zero}${sort.names.map((name, place) => `<g data-line="${place}">${line(curves[name], [low, high])}</g>`).join("")}</svg></div></figure>`;
}

export const charts = (curves) => sorted(curves).map((sort) => chart(sort, curves)).join("");
