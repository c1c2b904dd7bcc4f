// The photo of a person; the faces in it are boxes to choose from.

import { CONSENT, Faces, OVER, UNDER } from "./faces.js";
import { Still } from "./still.js";

class Photo extends Still {
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

  settled(photo) { return { photo: photo.photo, face: photo.face, consent: photo.consent }; }
  open(photo) { return new Faces(this.body, photo, this.method); }
  chosenView(photo) { return this.framed(photo, OVER, UNDER) + CONSENT; }
}

customElements.define("likeness-photo", Photo);
