// What every client on node prints: one JSON line for each event that it delivers, and a last one
// that says how it ended: `closed` when it was told that nothing more will come (204), `ended` when
// the end of a stream is its end.

import { createHash } from "node:crypto";

export function tell(id, event, data) {
  const bytes = Buffer.from(data);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  console.log(JSON.stringify({ id, event, length: bytes.length, sha256 }));
}

export function end(how) {
  console.log(JSON.stringify({ end: how }));
}
