// A box with the npm package `ws`: says back what it is told. Prints one JSON line with its port,
// and one for each connection that has ended.
//
// It takes the subprotocol "tty.v2". The text "ping me" is answered with a ping, whose pong is told;
// "close me" with a close.

import { createRequire } from "node:module";

const require = createRequire(process.env.AFTERBAY_CLIENT_MODULES + "/");
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has("tty.v2") ? "tty.v2" : false),
});

server.on("listening", () => console.log(JSON.stringify({ port: server.address().port })));

server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? undefined : data.toString();
    if (text === "ping me") socket.ping("from the box");
    else if (text === "close me") socket.close(4002, "as you wish");
    else socket.send(data, { binary: isBinary });
  });
  socket.on("pong", (data) => socket.send(`pong ${data}`));
  socket.on("close", (code, reason) => {
    console.log(JSON.stringify({ closed: code, reason: reason.toString() }));
  });
});
