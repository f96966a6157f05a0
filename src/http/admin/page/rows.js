// A list of very many rows of one height, of which only those in sight are elements.

import { h } from "./element.js";

const HEIGHT = 24;
/** Rows above and below what is in sight, so that a quick scroll shows no blank. */
const BEYOND = 12;

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
  /** Whether the end stays in sight when rows are added. */
  follows = true;

  /** `make` makes an empty row; `fill` fills one with what stands at a place; `open` opens a place. */
  constructor(label, make, fill, open) {
    this.#make = make;
    this.#fill = fill;
    this.element.setAttribute("aria-label", label);
    this.element.append(this.#room);
    this.element.addEventListener("scroll", () => this.#draw(), { passive: true });
    // Whoever scrolls up wants to read; whoever comes back to the end wants to follow.
    for (const kind of ["wheel", "pointerdown", "keydown", "touchmove"]) {
      this.element.addEventListener(kind, () => requestAnimationFrame(() => this.#note()), { passive: true });
    }
    this.element.addEventListener("scrollend", () => this.#note());
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
    this.redraw();
  }

  get isAtEnd() {
    return this.element.scrollTop + this.element.clientHeight >= this.#count * HEIGHT - HEIGHT;
  }

  #note() {
    this.follows = this.isAtEnd;
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
      row.style.transform = `translateY(${place * HEIGHT}px)`;
      row.setAttribute("aria-selected", place === this.#chosen);
      this.#fill(row, place);
      this.#shown.set(place, row);
      this.#room.append(row);
    }
  }

  #choose(place, open) {
    this.#chosen = place;
    for (const [at, row] of this.#shown) row.setAttribute("aria-selected", at === place);
    open(place);
  }

  #key(event, open) {
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
