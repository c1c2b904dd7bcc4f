// A board's shots and anchors as plain values: moved, removed, read from text or JSON, written as JSON.

export const MOST = 40; // shots of a board
const LONGEST = 2000;
const LARGEST_SEED = 2 ** 31 - 1;

export const shotOf = (text, seed = -1) => ({ text, seed });

// The two that all others take the character's looks from: those that were chosen, else the first ones.
export function anchorsOf(shots, anchors) {
  const known = [...new Set(anchors ?? [0, 1])].filter((number) => number < shots.length);
  const spare = shots.map((_, number) => number).filter((number) => !known.includes(number));
  return [...known, ...spare].slice(0, 2);
}

// `anchors` after the shots have been dealt out anew; `order` holds the former number of each place.
const followed = (anchors, order) => anchors.map((number) => order.indexOf(number)).filter((place) => place >= 0);

export function arranged({ shots, anchors }, order) {
  const dealt = order.map((number) => shots[number]);
  return { shots: dealt, anchors: anchorsOf(dealt, followed(anchors, order)) };
}

export function moved(order, from, to) {
  const rest = order.filter((_, place) => place !== from);
  return [...rest.slice(0, to), order[from], ...rest.slice(to)];
}

export function inserted({ shots, anchors }, at, shot) {
  return { shots: [...shots.slice(0, at), shot, ...shots.slice(at)], anchors: anchors.map((number) => number + (number >= at)) };
}

// {settings} of a whole project or {shots}, or {error: "one sentence"}. Text is one shot per line, without numbers and bullets.
export function read(words) {
  const text = words.trim();
  if (!text) return { error: "There is nothing to import: write one shot per line." };
  if (!/^[[{]/.test(text)) return { shots: text.split("\n").map((line) => line.replace(/^\s*(?:[-*•]|\d+[.):])\s+/, "").trim()).filter(Boolean).map((line) => shotOf(line.slice(0, LONGEST))) };
  try {
    return project(JSON.parse(text));
  } catch {
    return { error: "This is neither a board nor a list of shots: check its brackets and commas, or write one shot per line." };
  }
}

function project(value) {
  const settings = Array.isArray(value) ? null : value.request ?? value;
  const shots = (Array.isArray(value) ? value : settings.shots)?.map(shotFrom);
  const wrong = value.method && value.method !== "storyboard";
  if (wrong || !shots || shots.some((shot) => !shot)) return { error: "This is no board: it needs a list of shots, each a text or a text with a seed." };
  return settings ? { shots, settings: { ...settings, shots, anchors: anchorsOf(shots, settings.anchors?.filter(Number.isInteger)), only: [], folder: "" } } : { shots };
}

function shotFrom(one) {
  const text = typeof one === "string" ? one : one?.text;
  const seed = Number.isInteger(one?.seed) && one.seed >= 0 && one.seed <= LARGEST_SEED ? one.seed : -1;
  return typeof text === "string" ? shotOf(text.slice(0, LONGEST), seed) : null;
}

// As the command line reads it.
export function download(settings) {
  const { folder, only, ...request } = settings; // of this studio alone
  const file = new Blob([`${JSON.stringify({ method: "storyboard", version: 1, request }, null, 2)}\n`], { type: "application/json" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "storyboard.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
