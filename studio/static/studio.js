// Entry point: gradio's glue calls `window.likeness`, everything else lives in the modules.

import { changed, chooseModel, send, start, take } from "./form.js";
import { refresh, running, state, subscribe, trains } from "./jobs.js";
import { refreshLibrary } from "./library.js";
import { startTheme } from "./theme.js";
import { acceptDrops } from "./widgets.js";
import { fraction } from "./words.js";
import "./stage.js";
import "./inspector.js";
import "./board.js";
import "./clips.js";
import "./subjects.js";
import "./pictures.js";
import "./training.js";
import "./course.js";
import "./adapters.js";
import "./source.js";
import "./photo.js";
import "./picture.js";
import "./weights.js";
import "./shots.js";
import "./cells.js";
import "./templates.js";
import "./written.js";
import "./balance.js";

window.likeness = { changed, chooseModel, send, start, take };
window.likenessLoaded?.(); // what gradio called before this module was here goes on now

class Status extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "status");
    this.leave = subscribe(() => this.show());
  }

  disconnectedCallback() { this.leave?.(); }

  show() {
    const words = state.offline ? "Not connected" : running() ? (trains(running()) ? "Learning" : "Drawing") : "";
    this.className = state.offline ? "lk-offline" : running() ? "lk-busy" : "";
    if (this.textContent !== words) this.textContent = words;
  }
}
customElements.define("likeness-status", Status);

subscribe(() => {
  const job = running();
  document.title = job?.total ? `${Math.round(100 * fraction(job))} % · Likeness` : "Likeness";
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  [...document.querySelectorAll(".lk-generate")].find((button) => button.offsetParent)?.click();
});

startTheme();
acceptDrops();
refresh();
refreshLibrary();
