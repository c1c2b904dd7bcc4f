// What the visitor owns beside clips: subjects, LoRAs, adapters and the pictures of the next subject. Components subscribe.

import { call, send } from "./api.js";
import { toast } from "./toast.js";

export const library = { subjects: [], loras: [], clips: [], photos: [], adapters: [], loaded: false };
export const MOST_CLIPS = 20; // that the studio keeps for a visitor
export const MOST_PHOTOS = 40;
const listeners = new Set();

export function followLibrary(listener) {
  listeners.add(listener);
  listener(library);
  return () => listeners.delete(listener);
}

export async function refreshLibrary() {
  const answer = await call("studio/library");
  if (!answer.error) Object.assign(library, answer, { loaded: true });
  listeners.forEach((listener) => listener(library));
}

export const subjectOf = (name) => library.subjects.find((one) => one.subject === name);
export const pictureOf = (subject, index, side = 256) => `studio/subjects/${subject.slug}/${index}.webp?side=${side}&v=${subject.changed}`;

async function change(path, body = {}) {
  const answer = await call(path, body);
  if (answer.error) toast(answer.error, { tone: "bad", seconds: 8 });
  await refreshLibrary();
  return answer;
}

export const renameSubject = (slug, name) => change(`studio/subjects/${slug}/rename`, { name });
export const trainFurther = (slug, steps) => change(`studio/subjects/${slug}/further`, { steps });

export async function deleteSubject(subject) {
  const answer = await change(`studio/subjects/${subject.slug}/delete`);
  if (answer.error) return;
  toast(`${subject.name} deleted.`, { action: "Undo", seconds: 10, run: () => change(`studio/subjects/${subject.slug}/undo_delete`) });
}

export async function deleteLora(lora) {
  const name = encodeURIComponent(lora.file);
  const answer = await change(`studio/loras/${name}/delete`);
  if (answer.error) return;
  toast(`${lora.file} deleted.`, { action: "Undo", seconds: 10, run: () => change(`studio/loras/${name}/undo_delete`) });
}

export async function deleteAdapter(adapter) {
  const answer = await change(`studio/adapters/${adapter.slug}/delete`);
  if (answer.error) return;
  toast(`${adapter.name} deleted.`, { action: "Undo", seconds: 10, run: () => change(`studio/adapters/${adapter.slug}/undo_delete`) });
}

const sendFile = (path, file, headers = {}) => call(path, file, { "X-Name": encodeURIComponent(file.name), ...headers });

export async function importSubject(file) {
  const answer = await sendFile("studio/subjects", file);
  if (answer.error) toast(answer.error, { tone: "bad", seconds: 9 });
  await refreshLibrary();
  if (!answer.error) toast(`${library.subjects.find((one) => one.slug === answer.slug)?.name ?? "The subject"} is in your library.`);
}

export async function importLora(file) {
  const answer = await sendFile("studio/loras", file);
  if (answer.error) toast(answer.error, { tone: "bad", seconds: 9 });
  await refreshLibrary();
  return answer;
}

// Where things of one kind are kept, each with an id, a name and examples to copy from.
const shelf = (name) => ({
  name,
  // How far it is goes to `progress`; answers the piece, {error} or {cancelled}.
  add(file, progress) {
    const sending = send(`studio/${name}`, file, { "X-Name": encodeURIComponent(file.name) }, progress);
    return { cancel: sending.cancel, answer: sending.answer.then(async (answer) => { await refreshLibrary(); return answer; }) };
  },
  async example(file) {
    const answer = await call(`studio/${name}/example`, { file });
    await refreshLibrary();
    return answer;
  },
  // `back` is told when the deletion has been undone.
  async remove(piece, back) {
    const answer = await change(`studio/${name}/${piece.id}/delete`);
    const undo = async () => { const undone = await change(`studio/${name}/${piece.id}/undo_delete`); if (!undone.error) back(); };
    if (!answer.error) toast(`${piece.name} deleted.`, { action: "Undo", seconds: 10, run: undo });
    return answer;
  },
});

export const clips = shelf("clips");

// A clip that was made here, or a part of one, as one of the source clips; answers it, or {error}.
export async function keepMade(job, file) {
  const answer = await call("studio/clips/made", { job, file });
  await refreshLibrary();
  return answer;
}

export const photos = shelf("photos");

export const facesIn = (photo, pack) => call(`studio/photos/${photo.id}/faces.json?pack=${encodeURIComponent(pack)}`);

// Who in a photo is meant, and whether the likeness may be used, stays with the photo.
export async function keepPerson(photo, person) {
  Object.assign(photo, person);
  const answer = await call(`studio/photos/${photo.id}/person`, person);
  if (answer.error) toast(answer.error, { tone: "bad", seconds: 8 });
}

export const addPicture = (file, others) => sendFile("studio/pictures", file, { "X-With": others.join(",") });
export const editPicture = (id, edit) => call(`studio/pictures/${id}/edit`, edit);
export const removePicture = (id) => call(`studio/pictures/${id}/delete`, {});
