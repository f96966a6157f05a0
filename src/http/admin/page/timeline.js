// A turn as a picture: its states, polls and events, and when clients came, were cut and came back.
//
// Each lane but the first has one bar for each slot of time; a slot grows with the turn's age. What was
// before the program's start is not known and is hatched.

import { h, say, svg } from "./element.js";
import { clock, count, duration, many } from "./format.js";

const WIDTH = 1000;
const LANE = { states: [18, 22], polls: [52, 30], events: [94, 40], clients: [144, 52] };
const HEIGHT = 200;

/** What a lane draws, from its base: the columns and how each looks. */
const BARS = [
  { lane: "polls", column: "polls", look: "poll", of: ["poll", "polls"] },
  { lane: "polls", column: "pollsFailed", look: "failed", of: ["failed poll", "failed polls"] },
  { lane: "events", column: "events", look: "event", of: ["event", "events"] },
];
/** Marks of clients, from above to below. */
const MARKS = [
  { column: "opened", look: "opened", label: "came", of: ["client came", "clients came"] },
  { column: "resumed", look: "resumed", label: "came back", of: ["client came back", "clients came back"] },
  { column: "cut", look: "cut", label: "were cut", of: ["client was cut", "clients were cut"] },
  { column: "ended", look: "ended", label: "ended", of: ["stream ended in order", "streams ended in order"] },
];
const MARK = { pitch: 13, height: 10 };
/** Parts of the width below which a state's bar does not name it. */
const NAMED = 0.07;

/** The picture's element and `draw(turn, timeline)`; `timeline` is `null` where none is kept. */
export class Timeline {
  #words = h("div", { class: "words", "aria-hidden": "true" });
  #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0" });
  #labels = h("div", { class: "lanes", "aria-hidden": "true" });
  #at = h("p", { class: "at quiet" });
  #axis = h("div", { class: "axis", "aria-hidden": "true" });
  #place = -1;
  #drawn;
  element = h("div", { class: "timeline" }, this.#labels, h("div", { class: "picture" }, this.#picture, this.#words, this.#axis), this.#at);

  constructor() {
    const lanes = Object.entries(LANE).filter(([name]) => name !== "clients");
    const marks = MARKS.map(({ label }, row) => [label, [LANE.clients[0] + row * MARK.pitch, MARK.height]]);
    for (const [name, [top, height]] of [...lanes, ...marks]) {
      const label = h("span", {}, name);
      label.style.top = `${top + height / 2}px`;
      this.#labels.append(label);
    }
    this.#picture.addEventListener("pointermove", (event) => {
      const { left, width } = this.#picture.getBoundingClientRect();
      this.#point((event.clientX - left) / width);
    });
    this.#picture.addEventListener("pointerleave", () => this.#choose(-1));
    this.#picture.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(turn, timeline) {
    const picture = timeline ?? bare(turn);
    const { sinceMs, untilMs, slotMs, states, statesLeftOut, statesLeftOutFromMs, slots, whole } = picture;
    const begin = Math.min(turn.acceptedAtMs, sinceMs);
    const span = Math.max(untilMs - begin, slotMs, 1);
    const x = (ms) => Math.min(WIDTH, Math.max(0, ((ms - begin) / span) * WIDTH));
    this.#drawn = { ...picture, begin, span, kept: timeline !== null, isOver: Boolean(turn.outcome) };
    const parts = [pattern()];
    if (!whole) parts.push(svg("rect", { class: "unknown", x: 0, y: 0, width: x(sinceMs), height: HEIGHT }));
    // Of very many states those in the middle are not kept.
    const leftOut = (atMs) => (statesLeftOut && atMs < statesLeftOutFromMs ? statesLeftOutFromMs : Infinity);
    const words = [];
    states.forEach(({ state, atMs }, place) => {
      const isLast = place + 1 === states.length;
      const toMs = isLast ? untilMs : Math.min(states[place + 1].atMs, leftOut(atMs));
      const [left, width] = [x(atMs), Math.max(x(toMs) - x(atMs), 1.5)];
      const [y, height] = LANE.states;
      const title = svg("title", {}, `${state} ${duration(toMs - atMs)}`);
      parts.push(svg("rect", { class: "state", "data-state": state, x: left, y, width, height }, title));
      if (width / WIDTH > NAMED) words.push(word(state, left, y + height / 2, width));
    });
    this.#words.replaceChildren(...words);
    for (const { lane, column, look } of BARS) {
      // All bars of a lane by one scale: a failed poll is one of the polls.
      const most = Math.max(1, ...slots[lane]);
      parts.push(...bars(LANE[lane], slots[column], most, look, (slot) => x(sinceMs + slot * slotMs)));
    }
    const width = Math.max(WIDTH / 240, x(sinceMs + slotMs) - x(sinceMs));
    MARKS.forEach(({ column, look }, row) => {
      const y = LANE.clients[0] + row * MARK.pitch;
      slots[column].forEach((number, slot) => {
        if (number) parts.push(svg("rect", { class: look, x: x(sinceMs + slot * slotMs), y, width, height: MARK.height }));
      });
    });
    parts.push(svg("rect", { class: "cursor", y: 0, width: 1.5, height: HEIGHT, visibility: "hidden" }));
    this.#picture.replaceChildren(...parts);
    this.#picture.setAttribute("aria-label", told(this.#drawn));
    const marks = [0.25, 0.5, 0.75, 1].map((part) => h("span", {}, `+ ${duration(part * span)}`));
    this.#axis.replaceChildren(h("span", {}, clock(begin)), ...marks);
    this.#choose(this.#place);
  }

  #point(part) {
    const { begin, span, sinceMs, slotMs } = this.#drawn;
    this.#choose(Math.floor((begin + part * span - sinceMs) / slotMs));
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !this.#drawn) return;
    event.preventDefault();
    const last = this.#drawn.slots.polls.length - 1;
    this.#choose(Math.min(last, Math.max(0, this.#place + step)));
  }

  /** Says what was in a slot, or in all. */
  #choose(place) {
    const { begin, span, sinceMs, slotMs, slots, kept } = this.#drawn;
    const isIn = place >= 0 && place < slots.polls.length;
    this.#place = isIn ? place : -1;
    const line = this.#picture.querySelector(".cursor");
    line?.setAttribute("visibility", isIn ? "visible" : "hidden");
    line?.setAttribute("x", ((sinceMs + (place + 0.5) * slotMs - begin) / span) * WIDTH);
    if (isIn) say(this.#at, `${clock(sinceMs + place * slotMs)} + ${duration(slotMs)}: ${listed((column) => slots[column][place]) || "nothing"}`);
    else say(this.#at, kept ? told(this.#drawn) : "Only when it came, was taken and ended is known: its timeline is no longer kept.");
  }
}

function told({ slots, whole, readers, isOver }) {
  const all = listed((column) => slots[column].reduce((sum, number) => sum + number, 0));
  // Those that are open after its end may read another turn.
  const open = readers && !isOver ? `; ${many(readers, "stream")} open now` : "";
  return `${all || "nothing yet"}${open}${whole ? "" : "; what was before afterbay's last start is not known"}`;
}

function listed(number) {
  return [...BARS, ...MARKS]
    .map(({ column, of }) => [number(column), of])
    .filter(([found]) => found)
    .map(([found, [one, several]]) => `${count(found)} ${found === 1 ? one : several}`)
    .join(", ");
}

/** Bars above a base, by a root scale: one event must be seen beside a thousand. */
function bars([top, height], column, most, look, x) {
  return column.flatMap((number, slot) => {
    if (!number) return [];
    const tall = Math.max(2, Math.sqrt(number / most) * height);
    const width = Math.max(0.8, x(slot + 1) - x(slot) - 0.6);
    return [svg("rect", { class: look, x: x(slot), y: top + height - tall, width, height: tall })];
  });
}

/** A state's name over its bar: as HTML, since the picture is stretched and its text would be. */
function word(state, left, top, width) {
  const word = h("span", {}, state);
  Object.assign(word.style, { left: `${left / WIDTH * 100}%`, top: `${top}px`, width: `${width / WIDTH * 100}%` });
  return word;
}

function pattern() {
  const line = svg("path", { d: "M0 8L8 0", class: "hatch" });
  return svg("defs", {}, svg("pattern", { id: "hatched", width: 8, height: 8, patternUnits: "userSpaceOnUse" }, line));
}

/** What is known of a turn whose timeline is not kept. */
function bare({ acceptedAtMs, dispatchedAtMs, finishedAtMs, ageMs, state }) {
  const untilMs = finishedAtMs ?? acceptedAtMs + ageMs;
  const states = [{ state: "accepted", atMs: acceptedAtMs }];
  if (dispatchedAtMs) states.push({ state: finishedAtMs ? "running" : state, atMs: dispatchedAtMs });
  const columns = [...BARS, ...MARKS].map(({ column }) => [column, []]);
  return { sinceMs: acceptedAtMs, untilMs, slotMs: 1, states, whole: true, readers: 0, slots: Object.fromEntries(columns) };
}
