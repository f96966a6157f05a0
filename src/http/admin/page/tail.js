// A session's events as they come: a bounded list with a filter, and the one that was chosen in full.

import { Failure } from "./door.js";
import { h, say } from "./element.js";
import { gap, one, plain, summary } from "./events.js";
import { Follower } from "./follower.js";
import { count, bytes } from "./format.js";
import { Rows } from "./rows.js";

/** Kept rows: some 40 MB of lines. Beyond it the oldest go, and the list says so. */
const MOST = 200_000;
/** How much of one event is shown. */
const LONGEST = 512 * 1024;
/** Where the tail begins if only what comes is wanted. */
const NOW = "now";

export class Tail {
  #key;
  #follower;
  #events = [];
  #shown = this.#events;
  #dropped = 0;
  #wanted = "";
  #asked;
  #counting;
  /** The session's last, as far as is known. */
  #newest;
  /** The number of the event that is shown whole. */
  #openId = 0;
  #state = h("span", { class: "stream-state", role: "status" });
  #counted = h("span", { class: "quiet" });
  #from = h("select", { "aria-label": "From where", onchange: () => this.#begin() });
  #filter = h("input", {
    type: "search", placeholder: "Filter events", "aria-label": "Filter events", oninput: () => this.#filtered(),
  });
  #end = h("button", { type: "button", onclick: () => this.#rows.toEnd(), title: "Go to the newest and stay there" }, "Follow");
  #detail = h("div", { class: "event-detail", hidden: true });
  #rows = new Rows("Events", make, (row, place) => fill(row, this.#shown[place]), (place) => this.#open(place));
  #bar = h("div", { class: "bar" }, h("h3", {}, "Live tail"), this.#state, this.#counted, this.#filter, this.#from, this.#end);
  element = h("section", { class: "tail", "aria-label": "Live tail" }, this.#bar, this.#rows.element, this.#detail);

  /** Of a session; `first` is where the turn that is looked at begins, `last` the session's last. */
  constructor(key, first, last) {
    this.#key = key;
    this.#newest = last;
    const starts = [["this turn's start", first - 1], ["the session's start", 0], ["now", NOW]];
    for (const [label, after] of starts) this.#from.append(h("option", { value: after }, `from ${label}`));
    this.#begin();
  }

  /** The session has events up to this number. */
  expect(last) {
    this.#newest = Math.max(this.#newest, last);
    this.#follower.expect(last);
  }

  end() {
    this.#follower.end();
    this.#asked?.abort();
  }

  #begin() {
    const { value } = this.#from;
    const after = value === NOW ? this.#newest : Number(value);
    this.#follower?.end();
    this.#events = [];
    this.#dropped = 0;
    this.#shut();
    this.#filtered();
    this.#rows.toEnd();
    const [take, tell] = [(event) => this.#take(event), (...told) => this.#tell(...told)];
    this.#follower = new Follower(this.#key, after, take, tell);
  }

  #take(event) {
    const { id, name, data } = event;
    const isGap = gap(event) !== null;
    this.#newest = Math.max(this.#newest, id);
    // A gap is told anew to whoever asks for it, and otherwise: what was told is kept.
    const line = { id, name: isGap ? "expired" : plain(name), text: summary(event), size: data.length, whole: isGap && data };
    this.#events.push(line);
    if (this.#events.length > MOST) {
      // Many at once: a shift for each event would cost more than the event.
      const gone = this.#events.splice(0, MOST / 10).length;
      this.#dropped += gone;
      if (this.#shown === this.#events) this.#rows.lost(gone);
      this.#filtered();
    } else if (this.#shown !== this.#events && this.#fits(line)) {
      this.#shown.push(line);
    }
    this.#count();
  }

  #fits(line) {
    return line.name.includes(this.#wanted) || line.text.toLowerCase().includes(this.#wanted);
  }

  #filtered() {
    this.#wanted = this.#filter.value.trim().toLowerCase();
    this.#shown = this.#wanted ? this.#events.filter((line) => this.#fits(line)) : this.#events;
    this.#rows.chose(this.#openId ? this.#shown.findIndex(({ id }) => id === this.#openId) : -1);
    this.#count();
  }

  /** Tells with the next frame: a thousand events may come between two. */
  #count() {
    this.#rows.count = this.#shown.length;
    this.#counting ??= requestAnimationFrame(() => this.#tellCount());
  }

  #tellCount() {
    this.#counting = undefined;
    const older = this.#dropped ? `, ${count(this.#dropped)} older ones not kept here` : "";
    const of = this.#shown === this.#events ? "" : ` of ${count(this.#events.length)}`;
    say(this.#counted, `${count(this.#shown.length)}${of} events${older}`);
  }

  #tell(state, triesAgain) {
    const failed = state instanceof Failure;
    this.#state.dataset.state = failed ? "failed" : state;
    say(this.#state, failed ? `${state.message}${triesAgain ? "; trying again" : ""}` : state);
    if (failed && state.code === "EVENTS_GONE") {
      // A data folder that was put back has others under the same numbers.
      this.#newest = this.#from.value = 0;
      setTimeout(() => this.#begin());
    }
  }

  async #open(place) {
    const line = this.#shown[place];
    this.#openId = line.id;
    this.#asked?.abort();
    this.#asked = new AbortController();
    this.#detail.hidden = false;
    const body = h("pre", { tabindex: "0" }, "Loading…");
    const close = h("button", { type: "button", class: "close", "aria-label": "Close the event", onclick: () => this.#close() }, "×");
    const head = h("div", { class: "bar" }, h("h4", {}, `${line.id} ${line.name}`), h("span", { class: "quiet" }, bytes(line.size)), close);
    this.#detail.replaceChildren(head, body);
    try {
      const data = line.whole || (await one(this.#key, line.id, this.#asked.signal))?.data;
      say(body, data ? pretty(data) : "It is no longer kept.");
    } catch (failure) {
      if (failure instanceof Failure) say(body, failure.message);
      else if (failure.name !== "AbortError") throw failure;
    }
  }

  #shut() {
    this.#asked?.abort();
    this.#detail.hidden = true;
    this.#openId = 0;
    this.#rows.chose(-1);
  }

  #close() {
    this.#shut();
    this.#rows.element.focus();
  }
}

function make() {
  const parts = ["id", "name", "text"].map((part) => h("span", { class: part }));
  return h("div", { class: "row", role: "option" }, ...parts);
}

function fill(row, { id, name, text }) {
  const [number, kind, line] = row.children;
  say(number, String(id));
  say(kind, name);
  say(line, text);
  row.dataset.name = name;
}

function pretty(data) {
  const text = plain(data.length > LONGEST ? data : JSON.stringify(JSON.parse(data), null, 2));
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${bytes(text.length - LONGEST)} more` : text;
}
