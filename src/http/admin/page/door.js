// The way to the program: requests with the operators' token, and what their failures mean.
//
// The token is kept for this tab alone, and goes when the tab goes.

const KEPT = "afterbay.token";

/** Why a request failed: a code of the program's, or `UNREACHABLE`. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The token, or `null`. */
export const token = () => sessionStorage.getItem(KEPT);

/** Keeps a token, or forgets it. */
export function keep(value) {
  if (value) sessionStorage.setItem(KEPT, value);
  else sessionStorage.removeItem(KEPT);
}

/** Takes a token out of `#token=…`, which is how the program prints the page's address. */
export function takeFromAddress() {
  if (!location.hash.startsWith("#token=")) return;
  keep(location.hash.slice("#token=".length));
  // Neither the bar nor the history is to show it, whole or not.
  history.replaceState(null, "", location.pathname);
}

/** The raw answer to a request that was let in. Throws a `Failure` or the signal's `AbortError`. */
export async function answer(path, { method = "GET", body, signal } = {}) {
  const headers = { authorization: `Bearer ${token() ?? ""}` };
  if (method !== "GET") headers["x-afterbay-admin"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("UNREACHABLE", "afterbay does not answer");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Failure(told.error?.code ?? `HTTP ${response.status}`, told.error?.message ?? "the request failed");
}

/** The JSON of an answer. */
export async function ask(path, options) {
  const response = await answer(path, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("UNREACHABLE", "the answer broke off");
  }
}

/** The path of a session, by a name that needs no other to be found. */
export const ofSession = (key) => `/admin/sessions/${encodeURIComponent(key)}`;

/** The path of one of its turns. */
export const ofTurn = (key, execution) => `${ofSession(key)}/turns/${encodeURIComponent(execution)}`;

/** Asks again and again, each time so long after the answer; at once when the tab is seen again. */
export class Poll {
  #ask;
  #pause;
  #timer;
  #asked;
  #seen = () => document.hidden || this.now();

  /** `ask` gets a signal, and its answer is the next pause in milliseconds. */
  constructor(ask) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", this.#seen);
    this.now();
  }

  /** Asks now; what was asked and not answered counts no more. */
  now() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    this.#ask(asked.signal)
      .catch((error) => {
        if (error.name !== "AbortError") throw error;
      })
      .then((pause) => {
        if (asked.signal.aborted || document.hidden) return;
        this.#timer = setTimeout(() => this.now(), pause);
      });
  }

  end() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    document.removeEventListener("visibilitychange", this.#seen);
  }
}
