// The photo of a person: brought in from a file, the clipboard, the camera or the examples; the faces in it are boxes to choose from.

import { Bring, replaceButtons } from "./bring.js";
import { CONSENT, Faces, OVER, UNDER } from "./faces.js";
import { MOST_PHOTOS, photos } from "./library.js";
import { Snapshot } from "./snapshot.js";
import { escape } from "./words.js";

const LARGEST = 64 * 1024 * 1024;
const seen = (photo, side) => `studio/photos/${photo.id}/picture.webp?side=${side}`;

class Photo extends Bring {
  words = {
    label: "Photo",
    add: "<b>Add a photo</b> in which the face is seen well: drop it here, paste it or browse.",
    camera: "Take one with the camera",
    drawn: "camera",
    kept: "Your photos",
    gone: "The photo of these settings is no longer here: add it again.",
  };
  setting = "photo";
  nothing = { photo: "", face: 0, consent: false };
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
  settled(photo) { return { photo: photo.photo, face: photo.face, consent: photo.consent }; }
  thumbnail(photo) { return seen(photo, 64); }
  facts(photo) { return [`${photo.width} × ${photo.height}`]; }
  open(photo) { return new Faces(this.body, photo, this.method); }

  chosenView(photo) {
    return `<div class="lk-photo" style="--ratio: ${photo.width / photo.height}"><img src="${seen(photo, 1024)}" alt="${escape(photo.name)}"/>${OVER}</div>
      ${UNDER}<div class="lk-row lk-bring lk-of-photo"><p class="lk-facts"><b>${escape(photo.name)}</b><span>${this.facts(photo)}</span></p>${replaceButtons(photo.name)}</div>${CONSENT}`;
  }
}

customElements.define("likeness-photo", Photo);
