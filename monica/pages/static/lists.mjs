// The queue and the history.

import { act } from "./bar.mjs";
import { $, clock, fill, h } from "./dom.mjs";
import { sentenceOf } from "./errors.mjs";
import { listen } from "./player.mjs";
import { openTakes } from "./takes.mjs";
import { send } from "./wire.mjs";

const STATES = { queued: "en attente", making: "se prépare", ready: "prête", done: "dite", stopped: "coupée",
                 dropped: "retirée", expired: "périmée", failed: "en échec" };
const PRIORITIES = { urgent: "urgente", normal: "", ambient: "d’ambiance" };

const button = (text, label, what) => h("button", { label, onclick: () => act(what) }, text);
const hear = (cue) => h("button", { label: `Écouter ici : ${cue.text}`, onclick: () => listen(`/v1/announcements/${cue.id}/audio`) }, "Écouter");

function details(cue) {
  const parts = [STATES[cue.state], PRIORITIES[cue.priority]];
  if (cue.hold) parts.push("retenue");
  if (cue.at && !cue.ended) parts.push(`à ${clock(cue.at)}`);
  if (cue.ended) parts.push(`à ${clock(cue.ended)}`);
  if (cue.repeat > 1) parts.push(`${cue.repeat} fois`);
  if (cue.reason) parts.push(sentenceOf(cue.code, cue.reason));
  return parts.filter(Boolean).join(" · ");
}

function waiting(cue, before) {
  const path = `/v1/announcements/${cue.id}`;
  return h("li", { className: `cue ${cue.priority}` },
    h("p", {}, cue.text), h("p", {}, h("small", {}, details(cue))),
    h("div", { className: "buttons" },
      before ? button("Monter", `Monter : ${cue.text}`, () => send("PATCH", path, { before })) : null,
      cue.hold ? button("Libérer", `Libérer : ${cue.text}`, () => send("PATCH", path, { hold: false }))
               : button("Retenir", `Retenir : ${cue.text}`, () => send("PATCH", path, { hold: true })),
      hear(cue),
      button("Retirer", `Retirer : ${cue.text}`, () => send("DELETE", path))));
}

function ended(cue) {
  const key = cue.sound_key ?? cue.key;
  return h("li", { className: "cue" },
    h("p", {}, cue.text), h("p", {}, h("small", {}, details(cue))),
    h("div", { className: "buttons" },
      button("Redire", `Redire : ${cue.text}`, () => send("POST", "/v1/antenna/replay", { id: cue.id })),
      hear(cue),
      key ? h("button", { label: `Refaire : ${cue.text}`, onclick: () => openTakes(key, cue.text) }, "Refaire") : null,
      key ? button("Épingler", `Épingler : ${cue.text}`, () => send("PUT", `/v1/phrases/${key}/pin`)) : null));
}

export function showLists(state) {
  const queue = state.queue.map((cue, index) => {
    const above = state.queue[index - 1];
    return { cue, before: above && above.priority === cue.priority ? above.id : null };
  });
  fill($("cues"), queue, ({ cue }) => cue.id, ({ cue, before }) => waiting(cue, before));
  fill($("ended"), state.history, (cue) => cue.id, ended);
  $("no-cues").hidden = state.queue.length > 0;
  $("no-ended").hidden = state.history.length > 0;
}
