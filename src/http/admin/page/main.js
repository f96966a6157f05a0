// The operators' page: who is let in, which session is open, and the keys.
//
// In reading order: `door` (requests), `entry` (the token), `program` (the strip above), `sessions` (the list),
// `session` (one of them) with `timeline` and `tail`, which reads through `follower` and `events` and is drawn by
// `rows`. `element`, `format` and `dialog` draw for all of them.

import { keep, takeFromAddress, token } from "./door.js";
import * as dialog from "./dialog.js";
import { h } from "./element.js";
import { entered } from "./entry.js";
import { Program } from "./program.js";
import { Session } from "./session.js";
import { Sessions } from "./sessions.js";

const KEYS = [
  ["/", "search sessions"],
  ["j k", "the next session, the one before"],
  ["↑ ↓", "in the live tail: through events; in the picture ← →: through time"],
  ["c", "cancel the turn that is open"],
  ["Esc", "back to the list"],
  ["?", "these keys"],
];

const app = document.getElementById("app");
let program;
let sessions;
let session;

async function begin(why) {
  for (const view of [program, sessions, session]) view?.end();
  program = sessions = session = undefined;
  if (!token() || why) await entered(app, why);
  program = new Program(refused, () => dialog.list("Keys", KEYS));
  sessions = new Sessions(open, () => program.status);
  app.replaceChildren(program.element, h("div", { class: "panes" }, sessions.element, h("div", { class: "pane" })));
  show();
}

function refused() {
  keep(null);
  begin("The token is no longer accepted.");
}

function open(key) {
  location.hash = `#/s/${encodeURIComponent(key)}`;
}

/** Shows what the address says. */
function show() {
  if (location.hash.startsWith("#token=")) {
    takeFromAddress();
    begin();
    return;
  }
  // While the token is asked for there is nothing to show; the address stays for later.
  if (!sessions) return;
  const { key, execution } = named();
  session?.end();
  session = key && new Session(key, execution);
  sessions.mark(key);
  const nothing = h("main", { class: "nothing" }, h("p", {}, "Choose a session to see its turns and its events."));
  const pane = app.querySelector(".pane");
  pane.replaceChildren(session?.element ?? nothing);
  document.body.dataset.open = Boolean(session);
}

/** The session and the turn of it that the address names. */
function named() {
  const parts = /^#\/s\/([^/]+)(?:\/t\/([^/]+))?$/.exec(location.hash) ?? [];
  try {
    const [, key, execution] = parts.map((part) => part && decodeURIComponent(part));
    return { key, execution };
  } catch {
    // Not an address of this page's.
    return {};
  }
}

document.addEventListener("keydown", (event) => {
  if (!sessions || dialog.isOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && isTyping) event.target.blur();
  else if (event.key === "Escape") location.hash = "#/";
  if (isTyping) return;
  const act = {
    "/": () => sessions.focusSearch(),
    j: () => sessions.step(1),
    k: () => sessions.step(-1),
    c: () => session?.cancel(),
    "?": () => dialog.list("Keys", KEYS),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

takeFromAddress();
addEventListener("hashchange", show);
begin();
