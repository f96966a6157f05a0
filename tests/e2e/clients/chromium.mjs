// Opens a page in a running Chromium and prints the lines that the page tells.
//
// Arguments: where Chromium's DevTools listen (host:port), the page's URL, the URL to read, last id
// or "". The page gets the last two in its own URL, behind `#`.

import { createRequire } from "node:module";
import { once } from "node:events";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { WebSocket } = require("ws");

const [devtools, page, url, last] = process.argv.slice(2);

const made = await fetch(`http://${devtools}/json/new?about:blank`, { method: "PUT" });
const tab = await made.json();
const socket = new WebSocket(tab.webSocketDebuggerUrl, { perMessageDeflate: false });
await once(socket, "open");

let number = 0;
const answered = new Map();

// One command after the other: what is asked before the page opens must be in place by then.
function send(method, params = {}) {
  const id = ++number;
  socket.send(JSON.stringify({ id, method, params }));
  return new Promise((resolve) => answered.set(id, resolve));
}

socket.on("message", async (text) => {
  const { id, method, params, error, result } = JSON.parse(text);
  const failed = error?.message ?? result?.errorText;
  if (failed) throw new Error(failed);
  if (method === "Runtime.exceptionThrown") throw new Error(JSON.stringify(params));
  answered.get(id)?.();
  if (method !== "Runtime.bindingCalled") return;
  console.log(params.payload);
  if (!("end" in JSON.parse(params.payload))) return;
  await fetch(`http://${devtools}/json/close/${tab.id}`);
  process.exit(0);
});

await send("Runtime.enable");
await send("Runtime.addBinding", { name: "tell" });
await send("Page.navigate", { url: `${page}#${encodeURIComponent(JSON.stringify({ url, last }))}` });
