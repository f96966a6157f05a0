// Starts a turn with node's own `fetch` and prints the stream as it comes, to its end.
//
// Arguments: URL, body.

const [url, body] = process.argv.slice(2);
const headers = { "content-type": "application/json" };
const answer = await fetch(url, { method: "POST", headers, body });
if (answer.status !== 200) throw new Error(`status ${answer.status}`);
for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
  process.stdout.write(text);
}
