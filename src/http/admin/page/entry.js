// The way in: asks for the token where the address brought none, or one that is refused.

import { ask, Failure, keep } from "./door.js";
import { h, say } from "./element.js";

/** Resolves when a token is let in. */
export function entered(place, why) {
  return new Promise((resolve) => {
    const wrong = h("p", { class: "wrong", role: "alert" }, why);
    const field = h("input", {
      id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true, autofocus: true,
    });
    const enter = async (event) => {
      event.preventDefault();
      say(wrong, "");
      const given = field.value.trim();
      try {
        if (!/^[\x21-\x7e]+$/.test(given)) throw new Failure("TOKEN_REQUIRED", "");
        keep(given);
        await ask("/admin/status");
        resolve();
      } catch (failure) {
        if (!(failure instanceof Failure)) throw failure;
        keep(null);
        say(wrong, failure.code === "TOKEN_REQUIRED" ? "This token is not the one in the data folder." : failure.message);
        field.select();
      }
    };
    place.replaceChildren(
      h("main", { class: "entry" },
        h("form", { onsubmit: enter },
          h("h1", {}, "afterbay"),
          h("p", {}, "The token is in the file ", h("code", {}, "admin.token"), " in the data folder; on a terminal afterbay prints an address with it when it starts."),
          h("label", { for: "token" }, "Token"),
          field,
          wrong,
          h("button", { type: "submit" }, "Enter"))));
    field.focus();
  });
}
