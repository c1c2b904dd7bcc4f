// One picture out of those that the visitor keeps: brought in from a file, the clipboard, the camera or the examples.

import { Bring, replaceButtons } from "./bring.js";
import { MOST_PHOTOS, photos } from "./library.js";
import { Snapshot } from "./snapshot.js";
import { escape } from "./words.js";

const LARGEST = 64 * 1024 * 1024;

export const seen = (photo, side) => `studio/photos/${photo.id}/picture.webp?side=${side}`;

export class Still extends Bring {
  shelf = photos;
  Camera = Snapshot;
  accept = "image/*";
  most = MOST_PHOTOS;

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("paste", this.paste);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("paste", this.paste);
  }

  // A picture on the clipboard; words go where they belong.
  paste = (event) => {
    const pictures = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!pictures.length || !this.offsetParent) return;
    event.preventDefault();
    this.take(pictures);
  };

  refuses(file) { return file.size > LARGEST ? `${file.name} is larger than 64 MB: make it smaller.` : ""; }
  thumbnail(photo) { return seen(photo, 64); }
  facts(photo) { return [`${photo.width} × ${photo.height}`]; }

  // The picture with what stands `over` and under it, and how to replace it.
  framed(photo, over = "", under = "") {
    return `<div class="lk-photo" style="--ratio: ${photo.width / photo.height}"><img src="${seen(photo, 1024)}" alt="${escape(photo.name)}"/>${over}</div>
      ${under}<div class="lk-row lk-bring lk-of-photo"><p class="lk-facts"><b>${escape(photo.name)}</b><span>${this.facts(photo)}</span></p>${replaceButtons(photo.name)}</div>`;
  }
}
