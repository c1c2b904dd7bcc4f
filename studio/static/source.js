// The clip whose motion is taken over: brought in from a file, the camera or the examples, then cut to the part that matters.

import { Bring, replaceButtons } from "./bring.js";
import { Camera } from "./camera.js";
import { CLIPS, facts, refused, strip } from "./clipfacts.js";
import { clips, MOST_CLIPS } from "./library.js";
import { Part } from "./part.js";
import { escape, icon } from "./words.js";

class Source extends Bring {
  words = {
    label: "Source clip",
    add: "<b>Add a clip</b> to take its motion over: drop it here or browse. What it shows is left behind.",
    camera: "Record with the camera",
    drawn: "record",
    kept: "Your source clips",
    gone: "The source clip of these settings is no longer here: add it again.",
  };
  setting = "source";
  nothing = { source: "", start: 0, end: 0, crop: "", source_prompt: "" };
  shelf = clips;
  Camera = Camera;
  accept = CLIPS;
  most = MOST_CLIPS;

  refuses(file) { return refused(file); }
  settled(clip) { return { source: clip.source, source_prompt: clip.words ?? "" }; }
  thumbnail(clip) { return strip(clip); }
  facts(clip) { return facts(clip); }
  open(clip) { return new Part(this.body, clip, this.method); }

  chosenView(clip) {
    return `<div class="lk-player" style="--ratio: ${clip.width / clip.height}"><video muted loop playsinline aria-label="${escape(clip.name)}"></video><div class="lk-frame"></div></div>
  <p class="lk-facts lk-of-clip"><b>${escape(clip.name)}</b>${this.facts(clip).map((fact) => `<span>${fact}</span>`).join("")}</p>
  <div class="lk-trim"><img alt="" src="${strip(clip)}"/><i></i>
    <input type="range" data-part="start" aria-label="From" step="0.05" min="0" max="${clip.seconds}"/><input type="range" data-part="end" aria-label="To" step="0.05" min="0" max="${clip.seconds}"/></div>
  <div class="lk-span"><label>From <input type="number" data-field="start" min="0" max="${clip.seconds}" step="0.1"/> s</label><label>To <input type="number" data-field="end" min="0" max="${clip.seconds}" step="0.1"/> s</label></div>
  <p class="lk-uses" role="status"></p>
  <div class="lk-row lk-bring"><button type="button" class="lk-button" data-part="play">${icon("clip")}<span>Play</span></button>
    <button type="button" class="lk-button" data-part="reset">${icon("turn")}<span>Reset</span></button>${replaceButtons(clip.name)}</div>
  <div class="lk-moves" aria-busy="true"><figure><div><img data-part="tracks" alt="The motion of this part, as tracks"/></div><figcaption>Its motion</figcaption></figure>
    <figure><div><img data-part="slice" alt="One column of pixels over time"/></div><figcaption>One column over time</figcaption></figure><p role="status"></p></div>`;
  }
}

customElements.define("likeness-source", Source);
