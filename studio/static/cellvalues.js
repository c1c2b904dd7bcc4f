// The cells of a grid as plain values, as they stand in the form.

import { form, set } from "./form.js";

export const GRID = "grid";
const EMPTY = { clip: "", text: "", identity: "", motion: "", start: 0 };

const count = (layout) => layout.split("x").reduce((rows, columns) => rows * columns);

// All cells of the layout, row by row.
export const cellsIn = ({ cells = [], layout = "2x2" }) => Array.from({ length: count(layout) }, (_, number) => ({ ...EMPTY, ...cells[number] }));

export const cellsNow = () => cellsIn(form(GRID).values);

export const putCell = (number, change) => set(GRID, { cells: cellsNow().with(number, { ...cellsNow()[number], ...change }) });

// "yellow-star" and "jumps" out of "a yellow star jumps on a beach": what stands before the first verb, and that verb.
export function tagsOf(words) {
  const plain = words.toLowerCase().replace(/^(in|on|under|at|inside|between) [^,]*, /, "").replace(/^(a clip of|a video of) /, "").replace(/^(a|an|the|one) /, "");
  const all = plain.split(/[^a-z0-9]+/).filter(Boolean);
  const preposition = all.findIndex((word) => /^(with|dressed|and|in|on|at|under|between)$/.test(word));
  const verb = all.findIndex((word, at) => at > 0 && /[^s]s$/.test(word) && (preposition < 0 || at < preposition));
  const end = [verb, preposition, 3].filter((at) => at > 0).sort((one, other) => one - other)[0];
  return { identity: all.slice(0, end).join("-"), motion: verb > 0 ? all[verb] : "" };
}
