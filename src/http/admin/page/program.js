// The strip above: is the program ready, what runs, which log lines are written, and the page's looks.

import { ask, Failure, Poll } from "./door.js";
import { h, say } from "./element.js";
import { count, duration, many } from "./format.js";

const PAUSE = 2000;
const LEVELS = ["error", "warn", "info", "debug", "trace"];
const THEMES = { auto: "◐", light: "☀", dark: "☾" };
const KEPT_THEME = "afterbay.theme";

export class Program {
  #ready = h("span", { class: "ready", role: "status" }, "…");
  #facts = h("span", { class: "quiet facts" });
  #level = h("select", { "aria-label": "Log level", title: "Which log lines are written, until the next start", onchange: () => this.#setLevel() },
    ...LEVELS.map((level) => h("option", { value: level }, `log: ${level}`)));
  #theme = h("button", { type: "button", onclick: () => this.#nextTheme() });
  #trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  #refusal = h("p", { class: "trouble", role: "alert", hidden: true });
  #poll;
  #out;
  #help;
  /** The last status. */
  status;
  element = h("header", {},
    h("div", { class: "bar" },
      h("h1", {}, h("a", { href: "#/" }, "afterbay")), this.#ready, this.#facts, this.#level, this.#theme,
      h("button", { type: "button", onclick: () => this.#help(), title: "Keys (?)" }, "?")),
    this.#trouble, this.#refusal);

  /** `out` is called when the token is refused. */
  constructor(out, help) {
    this.#out = out;
    this.#help = help;
    this.#wear(kept());
    this.#poll = new Poll((signal) => this.#look(signal));
  }

  end() {
    this.#poll.end();
  }

  async #look(signal) {
    try {
      this.status = await ask("/admin/status", { signal });
      this.#show(this.status);
      this.#trouble.hidden = true;
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (failure.code === "TOKEN_REQUIRED") this.#out();
      this.#ready.dataset.ready = "gone";
      say(this.#ready, "no answer");
      say(this.#trouble, `${failure.code}: ${failure.message}. What is shown is from before; trying again.`);
      this.#trouble.hidden = false;
    }
    return PAUSE;
  }

  #show({ version, readiness, uptimeMs, sessions, running, turns, logLevel }) {
    this.#ready.dataset.ready = readiness.ready;
    say(this.#ready, readiness.ready ? "ready" : `not ready: ${readiness.missing.join(", ")}`);
    const states = Object.entries(turns).map(([state, number]) => `${count(number)} ${state}`).join(", ");
    say(this.#facts, `${version} · up ${duration(uptimeMs)} · ${many(sessions, "session")} · ${many(running, "turn")} running${states ? ` (${states})` : ""} · ${readiness.mode} mode`);
    if (document.activeElement !== this.#level) this.#level.value = logLevel;
  }

  async #setLevel() {
    this.#refusal.hidden = true;
    try {
      await ask("/admin/log-level", { method: "PUT", body: { level: this.#level.value } });
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      say(this.#refusal, `The log level stays: ${failure.code}: ${failure.message}`);
      this.#refusal.hidden = false;
    }
    this.#level.blur();
    this.#poll.now();
  }

  #nextTheme() {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
    try {
      localStorage.setItem(KEPT_THEME, next);
    } catch {
      // Where the browser lets a page keep nothing, it is for this once.
    }
    this.#wear(next);
  }

  #wear(theme) {
    const worn = theme in THEMES ? theme : "auto";
    document.documentElement.dataset.theme = worn;
    say(this.#theme, THEMES[worn]);
    this.#theme.title = `Looks: ${worn}`;
    this.#theme.setAttribute("aria-label", this.#theme.title);
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT_THEME) ?? "auto";
  } catch {
    return "auto";
  }
}
