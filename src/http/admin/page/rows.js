// A list of very many rows of one height, of which only those in sight are elements.

import { h } from "./element.js";

const HEIGHT = 24;
/** Rows above and below what is in sight, so that a quick scroll shows no blank. */
const BEYOND = 12;
const SCROLLING = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", " "];

export class Rows {
  element = h("div", { class: "rows", tabindex: "0", role: "listbox" });
  #room = h("div", { class: "room" });
  #count = 0;
  #shown = new Map();
  #spare = [];
  #make;
  #fill;
  #asked = 0;
  #chosen = -1;
  /** Whether the reader has scrolled since it was sent to the end. */
  #isMoved = false;
  /** Whether the end stays in sight when rows are added. */
  follows = true;

  /** `make` makes an empty row; `fill` fills one with what stands at a place; `open` opens a place. */
  constructor(label, make, fill, open) {
    this.#make = make;
    this.#fill = fill;
    this.element.setAttribute("aria-label", label);
    this.element.append(this.#room);
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Whoever touches the list wants to read; who comes back to the end wants to follow again.
    for (const kind of ["wheel", "pointerdown", "touchmove"]) {
      this.element.addEventListener(kind, () => this.#touched(), { passive: true });
    }
    this.element.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.#choose(Number(row.dataset.place), open);
    });
    this.element.addEventListener("keydown", (event) => this.#key(event, open));
    new ResizeObserver(() => this.redraw()).observe(this.element);
  }

  /** There are so many rows now; those in sight are drawn anew with the next frame. */
  set count(count) {
    this.#count = count;
    this.redraw();
  }

  redraw() {
    if (this.#asked) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      this.#room.style.height = `${this.#count * HEIGHT}px`;
      if (this.follows) this.element.scrollTop = this.#count * HEIGHT;
      for (const [place, row] of this.#shown) if (place < this.#count) this.#fill(row, place);
      this.#draw();
    });
  }

  /** Goes to the end, and stays there. */
  toEnd() {
    this.follows = true;
    this.#isMoved = false;
    this.redraw();
  }

  get isAtEnd() {
    return this.element.scrollTop + this.element.clientHeight >= this.#count * HEIGHT - HEIGHT;
  }

  #touched() {
    this.follows = false;
    this.#isMoved = true;
  }

  #scrolled() {
    if (this.#isMoved) this.follows = this.isAtEnd;
    this.#draw();
  }

  /** The row at that place is the chosen one; none is at -1. */
  chose(place) {
    this.#chosen = place;
    for (const [at, row] of this.#shown) row.setAttribute("aria-selected", at === place);
    if (place < 0) this.element.removeAttribute("aria-activedescendant");
    else this.element.setAttribute("aria-activedescendant", `row-${place}`);
  }

  /** So many rows have gone from the beginning: who reads goes on where they are. */
  lost(rows) {
    if (!this.follows) this.element.scrollTop -= rows * HEIGHT;
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / HEIGHT) - BEYOND);
    const sight = Math.ceil(this.element.clientHeight / HEIGHT) + 2 * BEYOND;
    const end = Math.min(this.#count, first + sight);
    for (const [place, row] of this.#shown) {
      if (place >= first && place < end) continue;
      this.#shown.delete(place);
      row.remove();
      this.#spare.push(row);
    }
    for (let place = first; place < end; place += 1) {
      if (this.#shown.has(place)) continue;
      const row = this.#spare.pop() ?? this.#make();
      row.dataset.place = place;
      row.id = `row-${place}`;
      row.setAttribute("aria-posinset", place + 1);
      row.style.transform = `translateY(${place * HEIGHT}px)`;
      row.setAttribute("aria-selected", place === this.#chosen);
      this.#fill(row, place);
      this.#shown.set(place, row);
      this.#room.append(row);
    }
  }

  #choose(place, open) {
    this.chose(place);
    open(place);
  }

  #key(event, open) {
    if (SCROLLING.includes(event.key)) this.#touched();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !this.#count) return;
    event.preventDefault();
    const from = this.#chosen < 0 ? this.#count : this.#chosen;
    const place = Math.min(this.#count - 1, Math.max(0, from + step));
    const top = place * HEIGHT;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    if (top + HEIGHT > scrollTop + clientHeight) this.element.scrollTop = top + HEIGHT - clientHeight;
    this.#draw();
    this.#choose(place, open);
  }
}
