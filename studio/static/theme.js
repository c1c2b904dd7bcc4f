// Light and dark: the system's choice until the visitor makes one, which is kept.

import { recall, remember } from "./api.js";
import { icon } from "./words.js";

const system = window.matchMedia("(prefers-color-scheme: dark)");
const wanted = () => recall("theme") ?? (system.matches ? "dark" : "light");

function apply() {
  const dark = wanted() === "dark";
  document.body.classList.toggle("dark", dark);
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  for (const button of document.querySelectorAll(".lk-theme")) {
    const next = dark ? "light" : "dark";
    button.innerHTML = icon(dark ? "sun" : "moon");
    button.setAttribute("aria-label", `Switch to the ${next} theme`);
    button.title = `Switch to the ${next} theme`;
  }
}

export function startTheme() {
  apply();
  system.addEventListener("change", () => queueMicrotask(apply));
  // gradio sets the class itself while it mounts; the visitor's choice has the last word
  new MutationObserver(() => {
    if (document.body.classList.contains("dark") !== (wanted() === "dark")) apply();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
}

class Theme extends HTMLElement {
  connectedCallback() {
    this.innerHTML = '<button type="button" class="lk-theme lk-icon"></button>';
    this.firstChild.addEventListener("click", () => {
      remember("theme", wanted() === "dark" ? "light" : "dark");
      apply();
    });
    apply();
  }
}
customElements.define("likeness-theme", Theme);
