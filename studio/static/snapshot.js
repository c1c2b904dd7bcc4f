// A photo from the camera: the picture live, a count-down, then what the camera saw, not mirrored.

import { Camera } from "./camera.js";

export class Snapshot extends Camera {
  get offer() { return ["camera", "Take the photo"]; }
  get able() { return true; }

  record() {
    const video = this.place.querySelector("video");
    const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((picture) => {
      const cancelled = this.over;
      this.end();
      if (!cancelled) this.done(picture && new File([picture], "camera.png", { type: "image/png" }));
    });
  }
}
