// Reads with the npm package `eventsource`, as a browser would: it comes back by itself with its
// last id, and closes for good when the server says 204. As in a browser, the first cursor can only
// stand in the URL.
//
// Arguments: URL, last id or "".

import { createRequire } from "node:module";
import { end, tell } from "./lines.mjs";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { EventSource } = require("eventsource");

const [url, last] = process.argv.slice(2);
const names = [
  "execution.started", "message.part.updated", "warning", "interaction", "interaction.cancel",
  "error", "result", "done", "message",
];

const source = new EventSource(last ? `${url}&lastEventId=${last}` : url);

for (const name of names) {
  source.addEventListener(name, (event) => {
    // The connection's own `error` events carry no data.
    if (event.data !== undefined) tell(event.lastEventId, name, event.data);
  });
}

source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) end("closed");
});
