// Reads one turn with the npm package `eventsource`, as any browser would: it reconnects by
// itself with its last id and closes for good when the server says 204.
//
// Arguments: base URL, execution id. Prints one JSON line for each frame, then {"end":"closed"}.

import { createRequire } from "node:module";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { EventSource } = require("eventsource");

const [base, execution] = process.argv.slice(2);
const names = [
  "execution.started", "message.part.updated", "warning", "interaction", "interaction.cancel",
  "error", "result", "done", "message",
];

const source = new EventSource(`${base}/agents/run/stream?executionId=${execution}`);

for (const name of names) {
  source.addEventListener(name, (event) => {
    // The connection's own `error` events carry no data.
    if (event.data === undefined) return;
    console.log(JSON.stringify({ id: event.lastEventId, event: name, data: event.data }));
  });
}

source.addEventListener("error", () => {
  if (source.readyState !== EventSource.CLOSED) return;
  console.log(JSON.stringify({ end: "closed" }));
});
