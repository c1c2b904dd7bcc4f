// Figures and states as a person reads them, and the few helpers to build markup.

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function bytes(count) {
  if (!count) return "none";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(count) / 3), units.length - 1);
  const value = count / 1000 ** power;
  return `${value < 10 && power > 1 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

// What a request asks for, also where all its words stand in the cells of a grid.
export const saidIn = ({ prompt, cells = [] }) => prompt || cells.map(({ text }) => text).filter(Boolean).join(" · ");

export const shotsOf = (count) => `${count} ${count === 1 ? "shot" : "shots"}`;

export const STATES = {
  queued: "Waiting", running: "Drawing", done: "Done",
  failed: "Failed", cancelled: "Stopped", interrupted: "Interrupted",
};

export const active = (job) => job.state === "queued" || job.state === "running";
export const fraction = (job) => (job.total > 0 ? Math.min(job.step / job.total, 1) : 0);

const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
export const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (letter) => entities[letter]);

const paths = {
  stop: '<rect x="6" y="6" width="12" height="12" rx="2.5" fill="currentColor" stroke="none"/>',
  retry: '<path d="M4 12a8 8 0 1 0 2.6-5.9M4 4v4.5h4.5"/>',
  reuse: '<path d="M5 7h9M18 7h1M5 12h2M11 12h8M5 17h8M17 17h2"/><circle cx="16" cy="7" r="1.9"/><circle cx="9" cy="12" r="1.9"/><circle cx="15" cy="17" r="1.9"/>',
  delete: '<path d="M5 7h14M10 7V4.8h4V7M7 7l.8 12.2h8.4L17 7M10.4 10.5v5.5M13.6 10.5v5.5"/>',
  download: '<path d="M12 4.5v10M7.8 10.6 12 14.8l4.2-4.2M5 19h14"/>',
  sun: '<circle cx="12" cy="12" r="3.8"/><path d="M12 3.5v2M12 18.5v2M3.5 12h2M18.5 12h2M6 6l1.4 1.4M16.6 16.6 18 18M18 6l-1.4 1.4M7.4 16.6 6 18"/>',
  moon: '<path d="M19 14.4A7.6 7.6 0 0 1 9.6 5a7.6 7.6 0 1 0 9.4 9.4z"/>',
  dice: '<rect x="4.5" y="4.5" width="15" height="15" rx="3.6"/><g fill="currentColor" stroke="none"><circle cx="9" cy="9" r="1.3"/><circle cx="15" cy="9" r="1.3"/><circle cx="12" cy="12" r="1.3"/><circle cx="9" cy="15" r="1.3"/><circle cx="15" cy="15" r="1.3"/></g>',
  lock: '<rect x="5.5" y="10.5" width="13" height="9" rx="2.4"/><path d="M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5"/>',
  clip: '<rect x="3.5" y="5.5" width="17" height="13" rx="3"/><path d="m10.4 9.4 4.2 2.6-4.2 2.6z"/>',
  add: '<path d="M12 5.5v13M5.5 12h13"/>',
  turn: '<path d="M19 12a7 7 0 1 1-2.1-5M19 4.5V8h-3.5"/>',
  crop: '<path d="M7.5 3.5v13h13M3.5 7.5h13v13"/>',
  edit: '<path d="M5 19h3.6L18.4 9.2l-3.6-3.6L5 15.4zM13 7.4l3.6 3.6"/>',
  more: '<path d="M4 17l5-6 4 3.5L20 7M15.5 7H20v4.5"/>',
  pair: '<rect x="3.5" y="6" width="7.5" height="12" rx="2"/><rect x="13" y="6" width="7.5" height="12" rx="2"/>',
  camera: '<path d="M4 8.5A2.5 2.5 0 0 1 6.5 6h1.2l1.5-2h5.6l1.5 2h1.2A2.5 2.5 0 0 1 20 8.5v8a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 16.5z"/><circle cx="12" cy="12.3" r="3.5"/>',
  record: '<circle cx="12" cy="12" r="8"/><circle cx="12" cy="12" r="4" fill="currentColor" stroke="none"/>',
  wipe: '<rect x="3.5" y="6" width="17" height="12" rx="2"/><path d="M12 3.5v17"/><path d="M12.5 7h6.5v10h-6.5z" fill="currentColor" stroke="none" opacity=".4"/>',
  person: '<circle cx="12" cy="8.5" r="3.4"/><path d="M5.5 19.5a6.5 6.5 0 0 1 13 0"/>',
  minus: '<path d="M5.5 12h13"/>',
  copy: '<rect x="8.5" y="8.5" width="11" height="11" rx="2.4"/><path d="M15.5 5.5h-8a3 3 0 0 0-3 3v7"/>',
  left: '<path d="m14 6-6 6 6 6"/>',
  right: '<path d="m10 6 6 6-6 6"/>',
  up: '<path d="M12 19V5.5M6.5 11 12 5.5 17.5 11"/>',
};

export const icon = (name) =>
  `<svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths[name]}</svg>`;
