// One session: its names and turns; of the turn that is looked at its facts, its picture and what can be
// done to it; and the live tail.

import { ask, Failure, ofSession, ofTurn, Poll } from "./door.js";
import * as dialog from "./dialog.js";
import { h, say } from "./element.js";
import { bytes, count, duration, many, moment } from "./format.js";
import { Tail } from "./tail.js";
import { Timeline } from "./timeline.js";

const PAUSE_BUSY = 1000;
const PAUSE_IDLE = 3000;

export class Session {
  #key;
  #execution;
  #shown;
  #tail;
  #poll;
  #picture;
  #pictured;
  #head = h("h2", {}, "Loading…");
  #names = h("p", { class: "quiet" });
  #note = h("p", { class: "wrong", role: "alert", hidden: true });
  #refusal = h("p", { class: "wrong", role: "alert", hidden: true });
  #turns = h("select", { "aria-label": "Turn", onchange: () => this.#choose(this.#turns.value) });
  #facts = h("dl", { class: "facts" });
  #cancel = h("button", { type: "button", class: "danger", onclick: () => this.cancel() }, "Cancel turn");
  #curl = h("button", { type: "button", onclick: () => this.#copy() }, "Copy as curl");
  #copied = h("span", { class: "quiet", role: "status" });
  #timeline = h("div", { class: "timeline-place" });
  #place = h("div", { class: "tail-place" });
  element = h("main", { class: "session", tabindex: "-1" },
    h("div", { class: "bar" }, h("a", { href: "#/", class: "back", "aria-label": "Back to the list" }, "←"), this.#head),
    this.#names, this.#note, this.#refusal,
    h("div", { class: "bar turn-bar" }, this.#turns, this.#cancel, this.#curl, this.#copied),
    this.#facts, this.#timeline, this.#place);

  /** Of that key; `execution` is the turn that is looked at, else the newest. */
  constructor(key, execution) {
    this.#key = key;
    this.#execution = execution;
    this.#cancel.hidden = true;
    this.#curl.hidden = true;
    this.#poll = new Poll((signal) => this.#look(signal));
  }

  end() {
    this.#poll.end();
    this.#tail?.end();
  }

  /** Stops the turn that is looked at, if the reader means it. */
  async cancel() {
    const turn = this.#turn();
    if (!turn || turn.outcome) return;
    const sure = await dialog.confirm(
      "Cancel this turn?",
      `${turn.executionId} on ${turn.box} has run for ${duration(turn.ageMs)}. The box is asked to stop; what it has told so far stays.`,
      "Cancel turn");
    if (!sure) return;
    this.#cancel.disabled = true;
    this.#refusal.hidden = true;
    try {
      await ask(`${ofTurn(this.#key, turn.executionId)}/cancel`, { method: "POST" });
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      say(this.#refusal, `It was not cancelled: ${failure.code}: ${failure.message}`);
      this.#refusal.hidden = false;
    }
    this.#cancel.disabled = false;
    this.#poll.now();
  }

  async #look(signal) {
    try {
      const shown = await ask(ofSession(this.#key), { signal });
      this.#shown = shown;
      this.#show(shown);
      await this.#draw(signal);
      this.#say("");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      const isGone = failure.code === "SESSION_NOT_FOUND";
      this.#say(isGone ? "There is no such session, or it is no longer kept." : `${failure.code}: ${failure.message}`);
      if (!this.#shown) say(this.#head, this.#key);
    }
    return this.#shown?.state === "busy" ? PAUSE_BUSY : PAUSE_IDLE;
  }

  #say(text) {
    say(this.#note, text);
    this.#note.hidden = !text;
  }

  /** The turn that is looked at. */
  #turn() {
    const turns = this.#shown?.turns ?? [];
    if (!this.#execution) return turns.at(-1);
    return turns.find(({ executionId }) => executionId === this.#execution);
  }

  #show({ id, key, box, names, turns, lastEventId, bytes: size, readers }) {
    say(this.#head, id);
    const others = names.filter((name) => name !== id && name !== key);
    const facts = [box, many(turns.length, "turn"), many(lastEventId, "event"), `${bytes(size)} on disk`];
    if (readers !== undefined) facts.push(many(readers, "client"));
    say(this.#names, [...facts, `key ${key}`, ...others.map((name) => `also ${name}`)].join(" · "));
    const options = [...this.#turns.options].map(({ value }) => value);
    const wanted = turns.map(({ executionId }) => executionId).reverse();
    if (options.join() !== wanted.join()) {
      this.#turns.replaceChildren(...turns.toReversed().map((turn) => h("option", { value: turn.executionId }, `${turn.turnId ?? turn.executionId} · ${moment(turn.acceptedAtMs)}`)));
    }
    const turn = this.#turn();
    if (!turn) {
      if (this.#execution) throw new Failure("EXECUTION_NOT_FOUND", "this turn was given up, or is no longer kept");
      return;
    }
    if (document.activeElement !== this.#turns) this.#turns.value = turn.executionId;
    this.#curl.hidden = false;
    this.#cancel.hidden = Boolean(turn.outcome);
    this.#showFacts(turn);
    if (!this.#tail) this.#follow(turn);
    this.#tail.expect(lastEventId);
  }

  #showFacts(turn) {
    const facts = [
      ["state", turn.lacks ? `${turn.state}, lacks ${turn.lacks}` : turn.state, turn.state],
      ["outcome", [turn.outcome, turn.code].filter(Boolean).join(" "), turn.outcome],
      ["age", duration(turn.ageMs)],
      ["quiet", turn.quietMs === undefined ? "" : duration(turn.quietMs)],
      ["mode", turn.mode],
      ["events", turn.expired ? "expired" : turn.events ? `${count(turn.events)} (${turn.firstEventId}–${turn.lastEventId})` : "none yet"],
      ["accepted", moment(turn.acceptedAtMs)],
      ["dispatched", turn.dispatchedAtMs ? `${duration(turn.dispatchedAtMs - turn.acceptedAtMs)} later` : ""],
      ["execution", turn.executionId],
    ].filter(([, text]) => text);
    const names = [...this.#facts.querySelectorAll("dt")].map((name) => name.textContent);
    if (names.join() !== facts.map(([name]) => name).join()) {
      this.#facts.replaceChildren(...facts.map(([name]) => h("div", {}, h("dt", {}, name), h("dd"))));
    }
    // Only what differs, so that a selection stays.
    this.#facts.querySelectorAll("dd").forEach((fact, place) => {
      const [, text, word] = facts[place];
      say(fact, text);
      fact.title = text;
      fact.dataset.word = word ?? "";
    });
  }

  /** A turn's picture changes while it runs. */
  async #draw(signal) {
    const turn = this.#turn();
    const settled = `${turn?.executionId} ${turn?.outcome}`;
    if (!turn || (turn.outcome && this.#pictured === settled)) return;
    let timeline = null;
    try {
      timeline = await ask(`${ofTurn(this.#key, turn.executionId)}/timeline`, { signal });
    } catch (failure) {
      if (failure.code !== "TIMELINE_NOT_KEPT") throw failure;
    }
    if (!this.#picture) {
      this.#picture = new Timeline();
      this.#timeline.append(this.#picture.element);
    }
    this.#picture.draw(turn, timeline);
    // Streams that are open at a turn's end end a little later, and that is still noted.
    this.#pictured = timeline?.readers ? undefined : settled;
  }

  #choose(execution) {
    this.#execution = execution;
    history.replaceState(null, "", `#/s/${encodeURIComponent(this.#key)}/t/${encodeURIComponent(execution)}`);
    this.#tail?.end();
    this.#tail = undefined;
    this.#pictured = undefined;
    this.#poll.now();
  }

  #follow(turn) {
    this.#tail = new Tail(this.#key, turn.firstEventId, this.#shown.lastEventId);
    this.#place.replaceChildren(this.#tail.element);
  }

  async #copy() {
    const turn = this.#turn();
    const after = turn ? turn.firstEventId - 1 : 0;
    // The token is named, not shown: what is copied may be pasted anywhere.
    const command = `curl -N -H "Authorization: Bearer $AFTERBAY_ADMIN_TOKEN" '${location.origin}${ofSession(this.#shown.key)}/events?after=${after}'`;
    try {
      await navigator.clipboard.writeText(command);
      say(this.#copied, "Copied. AFTERBAY_ADMIN_TOKEN is what admin.token holds.");
    } catch {
      await dialog.text("The events as curl; AFTERBAY_ADMIN_TOKEN is what admin.token holds", command);
    }
  }
}
