// The phrases that were listened to and are doubtful: what was heard, each take, and what a person decides.

import { act, notice } from "./bar.mjs";
import { $, fill, h } from "./dom.mjs";
import { heardOf, partsOf, quoted } from "./review.mjs";
import { makeTake, takeRows } from "./takes.mjs";
import { send } from "./wire.mjs";

const MOST = 40; // at a time: the next ones come up as these are decided

let phrases = [];
let asked = 0;

const marked = ({ text, heard }) =>
  heard === undefined ? text : h("mark", {}, text, h("small", {}, ` ${heardOf(text, heard)}`));

function row(phrase) {
  const { key, text, kept, pinned, hearing, takes } = phrase;
  const pin = pinned ? ["Désépingler", "DELETE"] : ["Épingler", "PUT"];
  return h("li", { className: "cue" },
    h("p", { className: "doubt" }, ...partsOf(hearing).map(marked)),
    takes.length ? null : h("p", {}, h("small", {}, `Entendu : ${quoted(hearing.heard)}`)),
    kept ? null : h("p", { className: "wrong" }, "Aucune prise n’est gardée."),
    h("ul", { className: "takes" }, ...takeRows(phrase, async () => {
      await loadDoubts();
      notice("Cette prise sera dite désormais.");
    })),
    h("div", { className: "buttons" },
      h("button", { label: `Une autre prise : ${text}`, onclick: (event) => remake(event.target, key) }, "Une autre prise"),
      kept ? h("button", { label: `${pin[0]} : ${text}`, onclick: () => act(async () => {
        await send(pin[1], `/v1/phrases/${key}/pin`);
        change(key, { ...phrase, pinned: !pinned });
      }) }, pin[0]) : null));
}

async function remake(button, key) {
  button.disabled = true;
  const made = await act(() => makeTake(key));
  button.disabled = false;
  if (made) change(key, made);
}

function change(key, changed) {
  phrases = phrases.map((each) => (each.key === key ? changed : each));
  show();
}

function show() {
  fill($("doubts"), phrases.slice(0, MOST), ({ key }) => key, row);
  $("no-doubts").hidden = phrases.length > 0;
  $("doubtful").textContent = phrases.length || "";
  $("more-doubts").hidden = phrases.length <= MOST;
  $("more-doubts").textContent = `Les ${MOST} premières sur ${phrases.length.toLocaleString("fr-FR")}.`;
}

/** Asks which phrases are doubtful: at the start, when a job has ended, and after a choice. */
export async function loadDoubts() {
  const number = ++asked;
  const found = await act(async () => (await send("GET", "/v1/phrases/review")).json(), true);
  if (!found || number !== asked) return; // an answer that a later question has overtaken
  phrases = found.phrases;
  show();
}

export const startDoubts = () => $("tab-review").addEventListener("click", loadDoubts);
