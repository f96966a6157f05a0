// A page that reads with the browser's own EventSource.

import { end, last, line, url } from "./lines.js";

const names = [
  "execution.started", "message.part.updated", "warning", "interaction", "interaction.cancel",
  "error", "result", "done", "message",
];

// A page cannot set a header: the first cursor stands in the URL.
const source = new EventSource(last ? `${url}&lastEventId=${last}` : url);

for (const name of names) {
  source.addEventListener(name, (event) => {
    // The connection's own `error` events carry no data.
    if (event.data !== undefined) line(event.lastEventId, name, event.data);
  });
}

source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) end("closed");
});
