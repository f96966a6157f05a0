// A session's events over `fetch`, which can be asked with the token and stopped at any of them; and what
// they say in a line.

import { answer, Failure, ofSession } from "./door.js";

/** The events after a number, as `{ id, name, data }`, until the stream ends or is aborted. */
export async function* read(key, after, signal) {
  const response = await answer(`${ofSession(key)}/events?after=${after}`, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = new Lines();
  let event = blank();
  try {
    for (let piece = await next(reader); !piece.done; piece = await next(reader)) {
      for (const line of lines.of(piece.value)) {
        if (line === "") {
          if (event.id) yield event;
          event = blank();
        } else {
          take(event, line);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The one event with that number; `null` if it is no longer kept. */
export async function one(key, id, signal) {
  for await (const event of read(key, id - 1, signal)) {
    return event.id === id && !gap(event) ? event : null;
  }
  return null;
}

/** What a warning tells of events that have expired: `{ from, to }`; `null` for any other event. */
export function gap({ id, name, data }) {
  if (name !== "warning" || !data.includes('"EVENTS_EXPIRED"')) return null;
  const { code, from, to } = parsed(data) ?? {};
  // A box may say much: the program's own says its number.
  return code === "EVENTS_EXPIRED" && to === id ? { from, to } : null;
}

/** What an event says, in one line. A box's values may be of any type. */
export function summary(event) {
  const { name, data } = event;
  const expired = gap(event);
  if (expired) return `${expired.from}–${expired.to} are no longer kept`;
  const value = parsed(data);
  if (typeof value !== "object" || value === null) return cut(data);
  const { part, code, message, finalText, status } = value;
  const type = part?.type;
  if (type === "text" || type === "reasoning") return cut(words(value.delta ?? part.text));
  if (type === "tool") return cut(words(part.tool, part.state?.status, part.state?.title));
  if (part) return cut(words(type) || data);
  if (name === "result") return cut(words(finalText) || words(status) || data);
  if (code) return cut(words(code, message));
  if (name === "done") return cut(words(status, value.executionId));
  return cut(data);
}

const LONGEST_SUMMARY = 200;

/** Marks that change the order in which text is shown, and those that some take for a line's end. */
const MARKS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/g;

/** Text with such marks as JSON would escape them: they cannot make it read otherwise than it is. */
export const plain = (text) =>
  text.replace(MARKS, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);

function words(...values) {
  const said = values.filter((value) => value !== undefined && value !== null && value !== "");
  return said.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" · ");
}

/** The text's beginning as a text of its own: a browser would keep all of a megabyte for a part of it. */
function cut(text) {
  return plain(Array.from(text.slice(0, LONGEST_SUMMARY)).join("").replace(/\s+/g, " ").trim());
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

const blank = () => ({ id: 0, name: "message", data: "" });

function take(event, line) {
  const [, field, value] = /^(id|event|data): ?([^]*)$/.exec(line) ?? [];
  if (field === "id") event.id = Number(value);
  if (field === "event") event.name = value;
  if (field === "data") event.data += value;
}

async function next(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("UNREACHABLE", "the stream broke off");
  }
}

/** Cuts pieces into lines; what is left of one waits for its end, in parts, however many there are. */
class Lines {
  #parts = [];

  *of(piece) {
    let begin = 0;
    for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", begin)) {
      this.#parts.push(piece.slice(begin, end));
      yield this.#parts.join("");
      this.#parts = [];
      begin = end + 1;
    }
    this.#parts.push(piece.slice(begin));
  }
}
