// A session's events over `fetch`, which can be asked with the token and stopped at any of them.

import { answer, ofSession } from "./door.js";

/** The events after a number, as `{ id, name, data }`, until the stream ends or is aborted. */
export async function* read(key, after, signal) {
  const response = await answer(`${ofSession(key)}/events?after=${after}`, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const frames = (text + piece.value).split("\n\n");
      text = frames.pop();
      for (const frame of frames) {
        const event = parse(frame);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The one event with that number; `null` if it is no longer kept. */
export async function one(key, id, signal) {
  for await (const event of read(key, id - 1, signal)) return event.id === id ? event : null;
  return null;
}

/** Whether an event says that those up to it have expired. */
export const isGap = ({ name, data }) => name === "warning" && data.includes('"EVENTS_EXPIRED"');

/** What an event says, in one line. */
export function summary(name, data) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return cut(data);
  }
  const { part, code, message, finalText, status } = value;
  if (part?.type === "text" || part?.type === "reasoning") return cut(value.delta || part.text || "");
  if (part?.type === "tool") {
    return cut([part.tool, part.state?.status, part.state?.title].filter(Boolean).join(" · "));
  }
  if (part) return cut(part.type ?? data);
  if (name === "result") return cut(finalText || status || data);
  if (code) return cut([code, message].filter(Boolean).join(": "));
  if (name === "done") return cut([status, value.executionId].filter(Boolean).join(" · "));
  return cut(data);
}

const LONGEST_SUMMARY = 200;

const cut = (text) => text.slice(0, LONGEST_SUMMARY).replace(/\s+/g, " ").trim();

function parse(frame) {
  const event = { id: 0, name: "message", data: "" };
  for (const line of frame.split("\n")) {
    const [, field, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (field === "id") event.id = Number(value);
    if (field === "event") event.name = value;
    if (field === "data") event.data += value;
  }
  return event.id ? event : null;
}
