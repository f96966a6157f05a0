// The way to the program: requests with the operators' token, and what their failures mean.
//
// The token is kept for this tab alone, and goes when the tab goes.

const KEPT = "afterbay.token";
/** Until an answer counts as none, in milliseconds: a program that hangs must not look alive. */
const PATIENCE = 15_000;
/** Before what was asked for by mistake is asked for again. */
const MISTAKEN_PAUSE = 5000;

/** Why a request failed: a code of the program's, or `UNREACHABLE`. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Where the browser lets a page keep nothing, the token goes when the page goes. */
let here = null;

/** The token, or `null`. */
export function token() {
  try {
    return sessionStorage.getItem(KEPT) ?? here;
  } catch {
    return here;
  }
}

/** Keeps a token, or forgets it. */
export function keep(value) {
  here = value || null;
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // It is kept here.
  }
}

/** Takes a token out of `#token=…`, which is how the program prints the page's address. */
export function takeFromAddress() {
  if (!location.hash.startsWith("#token=")) return;
  const given = location.hash.slice("#token=".length);
  // It must not stay in sight, whole or not.
  history.replaceState(null, "", location.pathname);
  keep(given);
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
    if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
    throw new Failure("UNREACHABLE", "afterbay does not answer");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Failure(told.error?.code ?? `HTTP ${response.status}`, told.error?.message ?? "the request failed");
}

/** The JSON of an answer. */
export async function ask(path, { signal, ...options } = {}) {
  const late = AbortSignal.timeout(PATIENCE);
  const either = signal ? AbortSignal.any([signal, late]) : late;
  try {
    const response = await answer(path, { ...options, signal: either });
    return await response.json();
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") throw error;
    const why = error.name === "TimeoutError" ? "afterbay does not answer in time" : "the answer broke off";
    throw new Failure("UNREACHABLE", why);
  }
}

/** The path of a session, by a name that needs no other to be found. */
export const ofSession = (key) => `/admin/sessions/${encodeURIComponent(key)}`;

/** The path of one of its turns. */
export const ofTurn = (key, execution) => `${ofSession(key)}/turns/${encodeURIComponent(execution)}`;

/** Asks again and again, each time so long after the answer; at once when the tab is seen again. */
export class Poll {
  #ask;
  #timer;
  #asked;
  #ended = false;
  #seen = () => document.hidden || this.now();

  /** `ask` gets a signal, and its answer is the next pause in milliseconds. */
  constructor(ask) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", this.#seen);
    this.now();
  }

  /** Asks now; what was asked and not answered counts no more. */
  async now() {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    let pause = MISTAKEN_PAUSE;
    try {
      pause = await this.#ask(asked.signal);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (!asked.signal.aborted && !document.hidden) this.#timer = setTimeout(() => this.now(), pause);
    }
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#asked?.abort();
    document.removeEventListener("visibilitychange", this.#seen);
  }
}
