// The list of sessions: newest first, by search and filters, each with how its newest turn stands.

import { ask, Failure, Poll } from "./door.js";
import { h, say } from "./element.js";
import { count, duration } from "./format.js";

const PAUSE = 2000;
/** How many are shown at first and with each "more"; the program gives 500 at most. */
const STEP = 50;
const MOST = 500;

const COLUMNS = ["Session", "Box", "State", "Age", "Quiet", "Mode", "Outcome", "Events", "Clients"];

export class Sessions {
  #limit = STEP;
  #rows = new Map();
  #chosen;
  #open;
  #poll;
  #search = h("input", { type: "search", placeholder: "Search ids  ( / )", "aria-label": "Search ids", maxlength: 256, oninput: () => this.#changed() });
  #state = choice("State", [["", "any state"], ["busy", "running"], ["idle", "idle"]], () => this.#changed());
  #outcome = choice("Outcome", [["", "any outcome"], ["completed", "completed"], ["failed", "failed"], ["cancelled", "cancelled"]], () => this.#changed());
  #box = choice("Box", [["", "any box"]], () => this.#changed());
  #body = h("tbody", { onclick: (event) => this.#clicked(event) });
  #note = h("div", { class: "note", role: "status" }, "Loading…");
  #more = h("button", { type: "button", hidden: true, onclick: () => this.#showMore() }, "Show more");
  #status;
  element = h("nav", { class: "sessions", "aria-label": "Sessions" },
    h("div", { class: "bar" }, this.#search, this.#state, this.#outcome, this.#box),
    h("div", { class: "scroll" },
      h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)))), this.#body),
      this.#note, this.#more));

  /** `open` is called with the session that was chosen; `status` gives the program's last status. */
  constructor(open, status) {
    this.#open = open;
    this.#status = status;
    this.#poll = new Poll((signal) => this.#look(signal));
  }

  end() {
    this.#poll.end();
  }

  /** Marks the session that is open. */
  mark(key) {
    this.#chosen = key;
    for (const [of, row] of this.#rows) row.element.setAttribute("aria-current", of === key);
  }

  /** Opens the one that stands so far below the one that is open. */
  step(by) {
    const keys = [...this.#rows.keys()];
    if (!keys.length) return;
    const at = keys.indexOf(this.#chosen);
    const key = keys[Math.min(keys.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    this.#open(key);
    this.#rows.get(key).element.scrollIntoView({ block: "nearest" });
  }

  focusSearch() {
    this.#search.select();
  }

  #changed() {
    this.#limit = STEP;
    this.#poll.now();
  }

  #showMore() {
    this.#limit = Math.min(MOST, this.#limit + STEP);
    this.#poll.now();
  }

  #clicked(event) {
    const row = event.target.closest("tr");
    // A link goes there by itself, or to another tab.
    if (row && !event.target.closest("a")) this.#open(row.dataset.key);
  }

  async #look(signal) {
    const query = new URLSearchParams({ limit: this.#limit });
    const wanted = { search: this.#search.value.trim(), state: this.#state.value, outcome: this.#outcome.value, box: this.#box.value };
    for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, value);
    const isNarrowed = Object.values(wanted).some(Boolean);
    try {
      const page = await ask(`/admin/sessions?${query}`, { signal });
      this.#show(page.sessions);
      this.#more.hidden = !page.nextPage || this.#limit >= MOST;
      const isCut = page.nextPage && this.#limit >= MOST;
      if (isCut) this.#say(`These are the newest ${MOST}. Search to find others.`);
      else if (page.sessions.length) this.#say("");
      else this.#say(...(isNarrowed ? ["No session is like that."] : this.#empty()));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      // The strip above says that nothing answers; the list stands as it was.
      if (failure.code !== "UNREACHABLE" || !this.#rows.size) this.#say(`${failure.code}: ${failure.message}`);
    }
    return PAUSE;
  }

  #say(...parts) {
    if (this.#note.textContent === parts.map((part) => part.textContent ?? part).join("")) return;
    this.#note.replaceChildren(...parts);
  }

  #empty() {
    const clients = this.#status()?.clients;
    if (!clients) return ["No session yet."];
    return ["No session yet. Clients connect to ", h("code", {}, clients), "; a turn that one of them starts appears here."];
  }

  #show(sessions) {
    const known = new Set([...this.#box.options].map(({ value }) => value));
    for (const { box } of this.#status()?.readiness.boxes.map(({ name }) => ({ box: name })) ?? []) {
      if (!known.has(box)) this.#box.append(h("option", { value: box }, box));
    }
    const rows = new Map(sessions.map((session) => [session.key, this.#rows.get(session.key) ?? new Row(session)]));
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.element.remove();
    this.#rows = rows;
    let place = this.#body.firstElementChild;
    for (const session of sessions) {
      const row = rows.get(session.key);
      row.show(session);
      row.element.setAttribute("aria-current", session.key === this.#chosen);
      // Moved only if it stands elsewhere, so that the focus stays.
      if (row.element === place) place = place.nextElementSibling;
      else this.#body.insertBefore(row.element, place);
    }
  }
}

class Row {
  #cells = COLUMNS.map(() => h("td"));
  #link = h("a", { class: "id" });
  element = h("tr", {}, ...this.#cells);

  constructor({ key }) {
    this.element.dataset.key = key;
    this.#link.href = `#/s/${encodeURIComponent(key)}`;
    this.#cells[0].append(this.#link);
  }

  show({ id, box, state, newestTurn: turn, lastEventId, readers }) {
    const word = state === "busy" ? turn?.state ?? "busy" : "idle";
    this.element.dataset.state = word;
    this.element.dataset.outcome = turn?.outcome ?? "";
    say(this.#link, id);
    this.#link.title = id;
    const texts = [
      box,
      turn?.lacks ? `${word}, lacks ${turn.lacks}` : word,
      turn ? duration(turn.ageMs) : "",
      turn?.quietMs === undefined ? "" : duration(turn.quietMs),
      turn?.mode ?? "",
      [turn?.outcome, turn?.code].filter(Boolean).join(" "),
      count(lastEventId),
      readers ?? "",
    ];
    texts.forEach((text, place) => say(this.#cells[place + 1], String(text)));
  }
}

function choice(label, options, changed) {
  return h("select", { "aria-label": label, onchange: changed }, ...options.map(([value, text]) => h("option", { value }, text)));
}
