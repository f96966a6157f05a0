// Questions and texts in front of the page. The browser's own dialog keeps the focus and closes by Escape.

import { h } from "./element.js";

/** Asks; resolves to whether the answer is yes. */
export function confirm(question, detail, yes) {
  return shown((close) => [
    h("h2", {}, question),
    h("p", {}, detail),
    h("div", { class: "bar end" },
      h("button", { type: "button", autofocus: true, onclick: () => close("no") }, "Keep it"),
      h("button", { type: "button", class: "danger", onclick: () => close("yes") }, yes)),
  ]).then((answer) => answer === "yes");
}

/** Shows a text to be copied by hand, where the page may not do it. */
export function text(title, content) {
  const area = h("textarea", { readonly: true, rows: 4, "aria-label": title });
  area.value = content;
  return shown((close) => [
    h("h2", {}, title),
    area,
    h("div", { class: "bar end" }, h("button", { type: "button", onclick: () => close("") }, "Close")),
  ], () => area.select());
}

/** Shows a list of `[what, explanation]`. */
export function list(title, pairs) {
  return shown((close) => [
    h("h2", {}, title),
    h("dl", {}, ...pairs.flatMap(([what, explained]) => [h("dt", {}, h("kbd", {}, what)), h("dd", {}, explained)])),
    h("div", { class: "bar end" }, h("button", { type: "button", autofocus: true, onclick: () => close("") }, "Close")),
  ]);
}

/** Whether one is open. */
export const isOpen = () => document.querySelector("dialog[open]") !== null;

function shown(parts, ready = () => {}) {
  const dialog = h("dialog");
  dialog.append(...parts((value) => dialog.close(value)));
  document.body.append(dialog);
  dialog.showModal();
  ready();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}
