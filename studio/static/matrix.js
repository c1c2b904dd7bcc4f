// A table of shares: the more, the more of the lamp's colour.

import { escape } from "./words.js";

export const shade = (share, words) => `<td style="--share: ${Math.round(100 * Math.min(Math.max(share, 0), 1))}%">${words}</td>`;

// `rows` are [heading, its cells as markup].
export function matrix(label, heads, rows) {
  const head = (scope, words) => `<th scope="${scope}">${escape(words)}</th>`;
  const body = rows.map(([name, cells]) => `<tr>${head("row", name)}${cells.join("")}</tr>`).join("");
  return `<figure class="lk-matrix"><div><table aria-label="${escape(label)}"><thead><tr><td></td>${heads.map((name) => head("col", name)).join("")}</tr></thead><tbody>${body}</tbody></table></div><figcaption>${escape(label)}</figcaption></figure>`;
}
