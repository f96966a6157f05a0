// Reads with node's own HTTP/2 and the npm package `eventsource-parser`, on a connection that speaks
// nothing else: after a cut, or a clean end, it asks again with its last id.
//
// Arguments: URL, last id or "", the file of the certificate to trust for https. Its last line tells
// besides how long the first byte took and when each event was there, in milliseconds.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import { tell } from "./lines.mjs";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { createParser } = require("eventsource-parser");

const [address, first, authority] = process.argv.slice(2);
const url = new URL(address);
const now = () => performance.timeOrigin + performance.now();
const times = [];
let last = first;
let firstByte;

// The status of one request, once its answer has ended.
function read() {
  return new Promise((resolve, reject) => {
    const session = connect(url.origin, { ca: authority && readFileSync(authority) });
    session.on("error", reject);
    const headers = { ":path": url.pathname + url.search, accept: "text/event-stream" };
    if (last) headers["last-event-id"] = last;
    const asked = now();
    const request = session.request(headers);
    let status;
    request.on("response", (head) => (status = head[":status"]));
    request.on("error", reject);
    request.on("close", () => {
      session.close();
      resolve(status);
    });
    const parser = createParser({
      onEvent({ id, event, data }) {
        times.push(now());
        tell(id, event, data);
        last = id;
      },
    });
    request.setEncoding("utf8");
    request.on("data", (text) => {
      firstByte ??= now() - asked;
      parser.feed(text);
    });
  });
}

for (let attempt = 0; attempt < 300; attempt += 1) {
  const status = await read().catch((cut) => console.error(`cut: ${cut}`));
  if (status === 204) {
    console.log(JSON.stringify({ end: "closed", firstByte, times }));
    process.exit(0);
  }
  await pause(100);
}
throw new Error("asked too often");
