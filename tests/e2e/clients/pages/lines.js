// What a page tells: the lines of `../lines.mjs`, in the order in which it got the events.

export const { url, last } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

let told = Promise.resolve();

export function line(id, event, data) {
  const bytes = new TextEncoder().encode(data);
  told = told.then(async () => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    window.tell(JSON.stringify({ id, event, length: bytes.length, sha256 }));
  });
}

export function end(how) {
  told = told.then(() => window.tell(JSON.stringify({ end: how })));
}
