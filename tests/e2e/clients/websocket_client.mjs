// A client with the npm package `ws`. Prints one JSON line for each thing that it sees.
//
// Arguments: base URL, then `talk` (texts, bytes, pings and both ways to close) or `echo` and how
// many bytes to send and get back, a megabyte a message, sixteen at most on their way.

import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { once } from "node:events";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { WebSocket } = require("ws");

const [base, act, amount] = process.argv.slice(2);
const url = base.replace("http:", "ws:") + "/terminal//1?x=%2F";
const tell = (seen) => console.log(JSON.stringify(seen));

async function open(options) {
  const socket = new WebSocket(url, ["tty.v2", "tty.v1"], options);
  await once(socket, "open");
  return socket;
}

async function answer(socket, message) {
  const answered = once(socket, "message");
  socket.send(message);
  const [data, isBinary] = await answered;
  return { data, isBinary };
}

async function talk() {
  const socket = await open();
  tell({ protocol: socket.protocol, extensions: socket.extensions });
  const text = await answer(socket, "h\u00e9llo");
  tell({ text: text.data.toString(), isBinary: text.isBinary });
  for (const size of [0, 1, 126, 65536, 1000003]) {
    const bytes = randomBytes(size);
    const same = await answer(socket, bytes);
    tell({ size, isBinary: same.isBinary, same: bytes.equals(same.data) });
  }
  const ponged = once(socket, "pong");
  socket.ping("from the client");
  tell({ pong: (await ponged)[0].toString() });
  tell({ ping: (await answer(socket, "ping me")).data.toString() });
  const closed = once(socket, "close");
  socket.close(4001, "enough");
  tell({ closed: (await closed)[0] });

  const other = await open();
  const told = once(other, "close");
  other.send("close me");
  const [code, reason] = await told;
  tell({ closed: code, reason: reason.toString() });
}

async function echo(total) {
  const socket = await open({ perMessageDeflate: false });
  const message = randomBytes(1 << 20);
  let sent = 0;
  let seen = 0;
  const more = () => {
    while (sent < total && sent - seen < 16 * message.length) {
      socket.send(message);
      sent += message.length;
    }
  };
  socket.on("message", (data) => {
    if (!message.equals(data)) throw new Error("another message came back");
    seen += data.length;
    if (seen >= total) socket.close(1000);
    else more();
  });
  more();
  await once(socket, "close");
  tell({ echoed: seen });
}

if (act === "talk") await talk();
else await echo(Number(amount));
