// Follows a session's events by an EventSource, over cuts and restarts: each event once, in order.
//
// An EventSource hears only names that it listens for, and a box may send others. Numbers have no holes,
// so a hole tells of an unheard name: the events are then read by `fetch` up to there, the names learnt,
// and the EventSource goes on behind them.

import { ask, Failure, ofSession } from "./door.js";
import { gap, read } from "./events.js";

/** What afterbay itself writes. */
const NAMES = [
  "execution.started", "message.part.updated", "warning", "interaction", "interaction.cancel",
  "error", "result", "done", "message",
];

/** Pauses before the next try, in milliseconds: soon, since a restart takes less than a second. */
const PAUSES = [250, 500, 1000, 2000, 4000];

/** Names that are listened for; a box that invents one for each event is read by `fetch` alone. */
const MOST_NAMES = 100;

/** What trying again does not help. */
const FINAL = ["SESSION_NOT_FOUND", "TOKEN_REQUIRED", "EVENTS_GONE"];

export class Follower {
  #key;
  #last;
  #take;
  #tell;
  #names = new Set(NAMES);
  #source;
  #reading;
  #timer;
  #failures = 0;
  #held = -1;
  /** Whether nothing more will be tried. */
  #isOver = false;
  /** A tab that nobody sees holds no stream: a browser has few connections for all of them. */
  #seen = () => (document.hidden ? this.#stop() : this.#open());

  /**
   * Follows what comes after a number. `take` gets each event, `tell` gets `connecting`, `live`, or a
   * `Failure` and whether it tries again.
   */
  constructor(key, after, take, tell) {
    this.#key = key;
    this.#last = after;
    this.#take = take;
    this.#tell = tell;
    document.addEventListener("visibilitychange", this.#seen);
    this.#open();
  }

  /** The number of the last event that was taken. */
  get last() {
    return this.#last;
  }

  /** The session has events up to this number: those that stay away twice have unheard names. */
  expect(last) {
    const isBehind = this.#source?.readyState === EventSource.OPEN && last > this.#last;
    if (isBehind && this.#held === this.#last) this.#learn(last);
    this.#held = isBehind ? this.#last : -1;
  }

  end() {
    this.#isOver = true;
    document.removeEventListener("visibilitychange", this.#seen);
    this.#stop();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#reading?.abort();
    this.#source = undefined;
  }

  async #open() {
    this.#stop();
    if (this.#isOver) return;
    this.#tell("connecting");
    const opening = new AbortController();
    this.#reading = opening;
    let ticket;
    try {
      const { signal } = opening;
      const { lastEventId } = await ask(ofSession(this.#key), { signal });
      if (lastEventId < this.#last) throw new Failure("EVENTS_GONE", "the session has fewer events than before");
      ticket = await ask(`${ofSession(this.#key)}/ticket`, { method: "POST", signal });
    } catch (failure) {
      this.#failed(failure);
      return;
    }
    if (this.#names.size > MOST_NAMES) {
      this.#tell("live");
      this.#learn(Infinity);
      return;
    }
    // It moves on by `Last-Event-ID`; the cursor in the address counts the first time alone.
    const source = new EventSource(`${ticket.events}&after=${this.#last}`);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#failures = 0;
      this.#tell("live");
    });
    for (const name of this.#names) source.addEventListener(name, (event) => this.#heard(source, name, event));
    source.addEventListener("error", (event) => {
      // An event of that name has data.
      if (event.data !== undefined || source !== this.#source) return;
      if (source.readyState === EventSource.CLOSED) this.#failed(new Failure("UNREACHABLE", "the stream broke off"));
      else this.#tell("connecting");
    });
  }

  #heard(source, name, { data, lastEventId }) {
    if (source !== this.#source || data === undefined) return;
    const event = { id: Number(lastEventId), name, data };
    const from = gap(event)?.from ?? event.id;
    if (from > this.#last + 1) this.#learn(event.id);
    else this.#accept(event);
  }

  #accept(event) {
    if (event.id <= this.#last) return;
    this.#last = event.id;
    this.#take(event);
  }

  async #learn(upTo) {
    this.#stop();
    const reading = new AbortController();
    this.#reading = reading;
    try {
      for await (const event of read(this.#key, this.#last, reading.signal)) {
        if (this.#names.size <= MOST_NAMES) this.#names.add(event.name);
        this.#accept(event);
        this.#failures = 0;
        if (event.id >= upTo) break;
      }
    } catch (failure) {
      this.#failed(failure);
      return;
    }
    if (reading.signal.aborted) return;
    if (this.#last < upTo) this.#failed(new Failure("UNREACHABLE", "the stream ended"));
    else this.#open();
  }

  #failed(failure) {
    if (failure.name === "AbortError") return;
    if (!(failure instanceof Failure)) throw failure;
    this.#stop();
    const isFinal = FINAL.includes(failure.code);
    this.#tell(failure, !isFinal);
    this.#isOver ||= isFinal;
    if (isFinal) return;
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), pause);
  }
}
