// Takes of a phrase to choose between: another is made beside the kept one, and a person says which is said from now on.

import { act, notice } from "./bar.mjs";
import { $, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { send } from "./wire.mjs";

let key = null;
let takes = []; // keys of those that were made here

const hear = (which) => listen(`/v1/phrases/${which}/audio`);

function show() {
  $("takes-list").replaceChildren(
    h("li", {}, "Prise actuelle ", h("button", { type: "button", onclick: () => hear(key) }, "Écouter")),
    ...takes.map((take, index) => h("li", {}, `Prise ${index + 1} `,
      h("button", { type: "button", label: `Écouter la prise ${index + 1}`, onclick: () => hear(take) }, "Écouter"),
      h("button", { type: "button", label: `Choisir la prise ${index + 1}`, onclick: () => choose(take) }, "Choisir"))));
}

async function choose(take) {
  if (!await act(() => send("PUT", `/v1/phrases/${key}/take`, { take }))) return;
  takes = takes.filter((each) => each !== take);
  $("takes").close();
  notice("Cette prise sera dite désormais.");
}

/** Opens the dialog for a kept phrase. */
export function openTakes(of, text) {
  key = of;
  takes = [];
  $("takes-text").textContent = text;
  $("takes-trouble").textContent = "";
  show();
  $("takes").showModal();
}

export function startTakes() {
  $("takes-more").onclick = async () => {
    $("takes-more").disabled = true;
    try {
      takes.push((await (await send("POST", `/v1/phrases/${key}/takes`)).json()).key);
      $("takes-trouble").textContent = "";
      show();
    } catch (error) {
      $("takes-trouble").textContent = error.message; // the bar is behind the dialog
    }
    $("takes-more").disabled = false;
  };
  $("takes-close").onclick = () => $("takes").close();
  // Takes that no one has chosen are not kept.
  $("takes").onclose = () => takes.forEach((take) => send("DELETE", `/v1/phrases/${take}`).catch(() => {}));
}
