// The dialog that fills the slots of a phrase: a value is typed or tapped for one after the other.

import { act } from "./bar.mjs";
import { $, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { fill, labelOf, matches, nextSlot, requestOf } from "./template.mjs";
import { send } from "./wire.mjs";

let tile = null;
let rosters = {};
let chosen = {};
let slot = null; // the one that is being filled

function show() {
  $("slots-text").textContent = fill(tile.parts, chosen);
  $("slots-list").replaceChildren(...tile.slots.map((each) =>
    h("button", { type: "button", className: each === slot ? "current" : "", onclick: () => turnTo(each) },
      chosen[each.name] ? labelOf(chosen[each.name]) : each.name)));
  const ready = !nextSlot(tile.slots, chosen);
  $("slots-air").disabled = $("slots-hear").disabled = !ready;
  $("slots-choice").hidden = !slot;
  if (slot) {
    $("slots-label").textContent = slot.name;
    $("slots-values").replaceChildren(...matches(rosters, tile.slots, slot, chosen, $("slots-typed").value).map((value) =>
      h("li", {}, h("button", { type: "button", onclick: () => choose(value) }, labelOf(value)))));
  }
}

function turnTo(next) {
  slot = next ?? null;
  $("slots-typed").value = "";
  show();
  if (slot) $("slots-typed").focus();
  else $("slots-air").focus();
}

function choose(value) {
  chosen = { ...chosen, [slot.name]: value };
  turnTo(nextSlot(tile.slots, chosen));
}

/** Opens the dialog for a tile of a board. */
export function openSlots(of, values) {
  tile = of;
  rosters = values;
  chosen = {};
  $("slots").showModal();
  turnTo(tile.slots[0]);
}

export function startSlots() {
  $("slots-typed").oninput = show;
  $("slots-form").onsubmit = (event) => { // Enter takes the first value
    event.preventDefault();
    $("slots-values").querySelector("button")?.click();
  };
  $("slots-air").onclick = async () => {
    $("slots").close();
    await act(() => send("POST", "/v1/announcements", requestOf(tile, chosen)));
  };
  $("slots-hear").onclick = () => act(async () => listen(await send("POST", "/blabla", requestOf(tile, chosen))), true);
  $("slots-close").onclick = () => $("slots").close();
}
