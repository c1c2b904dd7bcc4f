// The faces in a photo as boxes over it: which one is meant, what is wrong with it, and whether it may be used.

import { guard, set } from "./form.js";
import { facesIn, keepPerson } from "./library.js";
import { escape } from "./words.js";

const PATIENCE = 3000; // milliseconds until a studio that did not answer is asked again
const SMALL = 0.14; // of the picture: the number would cover the face
const share = (value) => `${(100 * value).toFixed(2)}%`;

const WHY = "It is your own, or the person agrees.";
const MISSING = "Tick this before you generate: without it nothing is drawn.";

// What stands over and under the photo.
export const OVER = '<div class="lk-faces" role="group" aria-label="Faces in the photo"></div>';
export const UNDER = `<p class="lk-found" role="status"></p><ul class="lk-remarks"></ul>`;
export const CONSENT = `<label class="lk-consent"><input type="checkbox" aria-describedby="lk-consent-why"/><span>I may use this person's likeness</span></label><p class="lk-why" id="lk-consent-why">${WHY}</p>`;

export class Faces {
  constructor(place, photo, method) {
    Object.assign(this, { place, photo, method, pack: null, found: null });
    this.over = place.querySelector(".lk-faces");
    this.tick = place.querySelector(".lk-consent input");
    this.over.addEventListener("click", (event) => this.choose(event.target.closest("[data-face]")));
    this.tick.addEventListener("change", () => { this.asked = false; this.mean(this.values.face ?? 0, this.tick.checked); });
    this.leave = guard(method, () => this.objection());
  }

  end() {
    this.ended = true;
    this.leave();
  }

  // The place of the face that is meant, or null.
  meant() {
    const chosen = (this.values.face ?? 0) - 1;
    return chosen >= 0 ? chosen : this.found?.usual ?? null;
  }

  problem() {
    const place = this.meant();
    return place === null ? this.found.problem : this.found.faces[place]?.problem ?? "";
  }

  // Why Generate would be in vain, as far as is known here.
  objection() {
    this.asked = true;
    this.show(this.values);
    return this.found ? this.problem() : "";
  }

  choose(button) {
    if (!button) return;
    const place = Number(button.dataset.face);
    this.mean(place + 1, Boolean(this.values.consent) && place === this.meant()); // of another person nothing has been said yet
  }

  mean(face, agreed) {
    keepPerson(this.photo, { face, consent: agreed });
    set(this.method, { face, consent: agreed });
  }

  show(values) {
    this.values = values;
    if (values.pack && values.pack !== this.pack) this.look(values.pack);
    this.tick.checked = Boolean(values.consent);
    const missing = Boolean(this.asked) && !values.consent;
    this.tick.setAttribute("aria-invalid", missing);
    const why = this.place.querySelector(".lk-why");
    why.classList.toggle("lk-bad", missing);
    if (why.textContent !== (missing ? MISSING : WHY)) why.textContent = missing ? MISSING : WHY;
    if (this.found) this.mark();
  }

  async look(pack) {
    const before = this.found?.faces?.length;
    this.pack = pack;
    this.found = null;
    this.over.replaceChildren();
    this.say("Looking for faces");
    const answer = await facesIn(this.photo, pack);
    if (this.ended || pack !== this.pack) return;
    if (answer.offline) { setTimeout(() => { if (!this.ended && pack === this.pack) this.look(pack); }, PATIENCE); return; }
    this.found = answer.error ? { faces: [], usual: null, problem: answer.error } : answer;
    this.over.innerHTML = this.found.faces.map((face, place) => box(face.box, place, this.found.faces.length)).join("");
    const other = before !== undefined && before !== this.found.faces.length; // with other models a number may mean somebody else
    if (other || (this.values.face ?? 0) > this.found.faces.length) this.mean(0, false);
    else this.mark();
  }

  mark() {
    const place = this.meant();
    for (const button of this.over.children) button.setAttribute("aria-pressed", Number(button.dataset.face) === place);
    const problem = this.problem();
    const open = place === null && this.found.faces.some((face) => !face.problem) && !this.asked; // a question, not yet a refusal
    this.say(problem || this.told(place), problem && (open ? "lk-ask" : "lk-bad"));
    const remarks = problem || place === null ? [] : this.found.faces[place].remarks;
    const list = this.place.querySelector(".lk-remarks");
    const lines = remarks.map((remark) => `<li>${escape(remark)}</li>`).join("");
    if (list.innerHTML !== lines) list.innerHTML = lines;
  }

  told(place) {
    const { length } = this.found.faces;
    if (length === 1) return "One face is seen.";
    return this.values.face ? `Face ${place + 1} of ${length} is meant.` : `${length} faces are seen, and the largest is meant: choose another one in the picture.`;
  }

  say(words, tone = "") {
    const line = this.place.querySelector(".lk-found");
    line.className = `lk-found ${tone}`;
    if (line.textContent !== words) line.textContent = words;
  }
}

const box = ([left, top, right, bottom], place, count) => `<button type="button" class="${right - left < SMALL ? "lk-small" : ""}" data-face="${place}" aria-label="Face ${place + 1} of ${count}" title="Face ${place + 1}"
  style="left: ${share(left)}; top: ${share(top)}; width: ${share(right - left)}; height: ${share(bottom - top)}"><b>${place + 1}</b></button>`;
