// Short messages at the edge of the page; one may carry a button ("Undo").

let shelf;

function place() {
  shelf ??= Object.assign(document.createElement("div"), { className: "lk-toasts" });
  shelf.setAttribute("role", "status");
  shelf.setAttribute("aria-live", "polite");
  if (!shelf.isConnected) document.body.append(shelf);
  return shelf;
}

export function toast(sentence, { action, run, seconds = 6, tone = "" } = {}) {
  const note = Object.assign(document.createElement("div"), { className: `lk-toast ${tone}` });
  note.append(Object.assign(document.createElement("span"), { textContent: sentence }));
  const gone = () => note.remove();
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action });
    button.addEventListener("click", () => { gone(); run(); });
    note.append(button);
  }
  place().append(note);
  setTimeout(gone, seconds * 1000);
}
