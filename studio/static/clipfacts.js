// What is said of a source clip wherever it stands, and what is none.

import { duration } from "./words.js";

const LARGEST = 256 * 1024 * 1024;

export const CLIPS = "video/*,image/gif,.mkv,.avi"; // that are offered to choose from
export const refused = (file) => (file.size > LARGEST ? `${file.name} is larger than 256 MB: choose a shorter clip, or save it smaller.` : "");
export const strip = (clip) => `studio/clips/${clip.id}/strip.webp`;
export const facts = (clip) => [duration(clip.seconds), `${clip.width} × ${clip.height}`, `${Math.round(clip.fps * 10) / 10} per second`];
