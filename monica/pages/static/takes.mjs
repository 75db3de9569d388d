// The takes of a phrase side by side: each is heard, one is kept, another is made. In a dialog here, and in the review.

import { act, notice } from "./bar.mjs";
import { $, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { rowsOf } from "./review.mjs";
import { send } from "./wire.mjs";

let open = null;

/** Keeps a take, because a person has heard it. number: null for the one that is kept already. Returns whether it is kept. */
export const keepTake = (key, number) =>
  act(async () => Boolean(await send("POST", `/v1/phrases/${key}/keep${number ? `?take=${number}` : ""}`)));

/** Makes another take, and returns the phrase with its takes. Throws Refused. */
export const makeTake = async (key) => (await send("POST", `/v1/phrases/${key}/takes`)).json();

/** The rows of a phrase's takes. kept: called after one was kept. */
export function takeRows(phrase, kept) {
  return rowsOf(phrase).map(({ name, path, number, heard, current }) => h("li", {}, h("span", {}, name, heard ? h("small", {}, heard) : null),
    h("button", { type: "button", label: `Écouter : ${name}, ${phrase.text}`, onclick: () => listen(path) }, "Écouter"),
    h("button", { type: "button", label: `Garder : ${name}, ${phrase.text}`, className: current ? "current" : "",
                  onclick: async () => await keepTake(phrase.key, number) && kept() }, "Garder")));
}

function show() {
  $("takes-list").replaceChildren(...takeRows(open, () => {
    $("takes").close();
    notice("Cette prise sera dite désormais.");
  }));
}

/** Opens the dialog for a kept phrase. */
export async function openTakes(key, text) {
  open = await act(async () => (await send("GET", `/v1/phrases/${key}/takes`)).json());
  if (!open) return;
  $("takes-text").textContent = text;
  $("takes-trouble").textContent = "";
  show();
  $("takes").showModal();
}

export function startTakes() {
  $("takes-more").onclick = async () => {
    $("takes-more").disabled = true;
    try {
      open = await makeTake(open.key);
      $("takes-trouble").textContent = "";
      show();
    } catch (error) {
      $("takes-trouble").textContent = error.message; // the bar is behind the dialog
    }
    $("takes-more").disabled = false;
  };
  $("takes-close").onclick = () => $("takes").close();
}
