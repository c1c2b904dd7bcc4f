// The studio's own JSON endpoints. Every address is relative to the page, so that the studio works below any path.

const base = () => new URL((window.gradio_config?.root || ".").replace(/\/?$/, "/"), document.baseURI).pathname;

export const address = (path) => base() + path;
export const media = (id, name) => address(`media/${encodeURIComponent(id)}/${name}`);

// Answers {…} or {error: "one sentence"}; never throws, because every caller shows the sentence anyway.
export async function call(path, body, headers = {}) {
  const raw = body instanceof Blob;
  const options = body === undefined ? { headers } : {
    method: "POST",
    headers: { "X-Likeness": "1", "Content-Type": raw ? "application/octet-stream" : "application/json", ...headers },
    body: raw ? body : JSON.stringify(body),
  };
  try {
    const answer = await fetch(address(path), { ...options, credentials: "same-origin", cache: "no-store" });
    return await answer.json();
  } catch {
    return { error: "The studio does not answer; check that it is still running, then try again.", offline: true };
  }
}

// The same for a large file: tells `progress` the share 0..1 that is sent, and can be cancelled, which answers {cancelled: true}.
export function send(path, file, headers, progress) {
  const request = new XMLHttpRequest();
  const answer = new Promise((done) => {
    request.open("POST", address(path));
    request.responseType = "json";
    const every = { "X-Likeness": "1", "Content-Type": "application/octet-stream", ...headers };
    for (const [name, value] of Object.entries(every)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => done(request.response ?? { error: `The studio could not take ${file.name}; try again.` });
    request.onerror = () => done({ error: "The upload broke off; check that the studio is still running, then try again.", offline: true });
    request.onabort = () => done({ cancelled: true });
    request.send(file);
  });
  return { answer, cancel: () => request.abort() };
}

export const remember = (key, value) => {
  try { localStorage.setItem(`likeness.${key}`, JSON.stringify(value)); } catch { /* private windows may refuse: the page works without it */ }
};

export const recall = (key) => {
  try { return JSON.parse(localStorage.getItem(`likeness.${key}`)); } catch { return null; }
};
