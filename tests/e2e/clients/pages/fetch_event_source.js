// A page that reads with `@microsoft/fetch-event-source`. Its Last-Event-ID is a header that the
// browser asks about before it sends it to another origin.

import { fetchEventSource } from "./fetch-event-source/fetch";
import { end, last, line, url } from "./lines.js";

let over = false;

class Stop extends Error {}

const asked = fetchEventSource(url, {
  headers: last ? { "Last-Event-ID": last } : {},
  openWhenHidden: true,
  async onopen(response) {
    if (response.status === 204) throw new Stop("closed");
    if (!response.ok) throw new Error(`status ${response.status}`);
    // A page of another origin sees only what it is let see.
    if (!response.headers.get("x-session-id")) throw new Stop("the session's id is hidden");
  },
  onmessage({ id, event, data }) {
    // It makes an empty message of each comment and of a block that holds only `retry`.
    if (!data) return;
    line(id, event, data);
    over = event === "done";
  },
  onclose() {
    if (!over) throw new Error("the stream ended before the turn");
  },
  onerror(error) {
    if (error instanceof Stop) throw error;
  },
});
asked.then(() => end("ended"), (stop) => end(stop.message));
