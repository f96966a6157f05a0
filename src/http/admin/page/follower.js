// Follows a session's events by an EventSource, over cuts and restarts: each event once, in order.
//
// An EventSource hears only names that it listens for, and a box may send others. Numbers have no holes,
// so a hole tells of an unheard name: the events are then read by `fetch` up to there, the names learnt,
// and the EventSource goes on behind them.

import { ask, Failure, ofSession } from "./door.js";
import { isGap, read } from "./events.js";

/** What afterbay itself writes. */
const NAMES = [
  "execution.started", "message.part.updated", "warning", "interaction", "interaction.cancel",
  "error", "result", "done", "message",
];

/** Pauses before the next try, in milliseconds: soon, since a restart takes less than a second. */
const PAUSES = [250, 500, 1000, 2000, 4000];

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
  #ended = false;

  /**
   * Follows what comes after a number. `take` gets each event, `tell` gets `connecting`, `live`, or
   * a `Failure`, after which it tries again unless the session is gone or the token is refused.
   */
  constructor(key, after, take, tell) {
    this.#key = key;
    this.#last = after;
    this.#take = take;
    this.#tell = tell;
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
    this.#ended = true;
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
    this.#tell("connecting");
    let ticket;
    try {
      ticket = await ask(`${ofSession(this.#key)}/ticket`, { method: "POST" });
    } catch (failure) {
      return this.#failed(failure);
    }
    if (this.#ended) return;
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
    if (event.id > this.#last + 1 && !isGap(event)) this.#learn(event.id);
    else this.#accept(event);
  }

  #accept(event) {
    if (event.id <= this.#last) return;
    this.#last = event.id;
    this.#take(event);
  }

  async #learn(upTo) {
    this.#stop();
    this.#reading = new AbortController();
    try {
      for await (const event of read(this.#key, this.#last, this.#reading.signal)) {
        this.#names.add(event.name);
        this.#accept(event);
        if (event.id >= upTo) break;
      }
      if (!this.#ended) await this.#open();
    } catch (failure) {
      if (failure.name !== "AbortError") this.#failed(failure);
    }
  }

  #failed(failure) {
    this.#stop();
    if (this.#ended) return;
    this.#tell(failure);
    if (failure.code === "SESSION_NOT_FOUND" || failure.code === "TOKEN_REQUIRED") return;
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), pause);
  }
}
