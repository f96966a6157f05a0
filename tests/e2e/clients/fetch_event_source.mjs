// Reads with the npm package `@microsoft/fetch-event-source`: after a cut it comes back by itself
// with its last id, and after the clean end of a stream because it is told to, if there was no `done`.
// It is written for browsers: of theirs it needs `window` and `document`.
//
// Arguments: URL, last id or "".

import { createRequire } from "node:module";
import { end, tell } from "./lines.mjs";

globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };
const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { fetchEventSource } = require("@microsoft/fetch-event-source");

const [url, last] = process.argv.slice(2);

let over = false;

class NothingMore extends Error {}

try {
  await fetchEventSource(url, {
    headers: last ? { "Last-Event-ID": last } : {},
    openWhenHidden: true,
    async onopen(response) {
      if (response.status === 204) throw new NothingMore();
      if (!response.ok) throw new Error(`status ${response.status}`);
    },
    onmessage({ id, event, data }) {
      // It makes an empty message of each comment and of a block that holds only `retry`.
      if (!data) return;
      tell(id, event, data);
      over = event === "done";
    },
    onclose() {
      if (!over) throw new Error("the stream ended before the turn");
    },
    onerror(error) {
      if (error instanceof NothingMore) throw error;
    },
  });
  end("ended");
} catch (error) {
  if (!(error instanceof NothingMore)) throw error;
  end("closed");
}
