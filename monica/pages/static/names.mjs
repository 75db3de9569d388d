// Names: hear how one is said, correct it, and have the phrases made again that the correction touches.

import { act, notice } from "./bar.mjs";
import { $, fill, h } from "./dom.mjs";
import { entriesOf, withEntry, withoutEntry } from "./lexicon.mjs";
import { listen } from "./player.mjs";
import { send } from "./wire.mjs";

let sections = { names: {}, words: {} };
let version = "*";
let affected = [];

const hear = (text) => act(async () => listen(await send("POST", "/blabla", { text })), true);

function show() {
  fill($("entries"), entriesOf(sections), ({ written }) => written, ({ written, spoken }) =>
    h("li", { className: "cue" },
      h("p", {}, written, " ", h("small", {}, `se dit « ${spoken} »`)),
      h("div", { className: "buttons" },
        h("button", { label: `Écouter ici : ${written}`, onclick: () => hear(written) }, "Écouter"),
        h("button", { label: `Corriger : ${written}`, onclick: () => {
          $("written").value = written;
          $("spoken").value = spoken;
          $("spoken").focus();
        } }, "Corriger"),
        h("button", { label: `Oublier : ${written}`, onclick: () => save(withoutEntry(sections, written)) }, "Oublier"))));
  $("affected").hidden = affected.length === 0;
  $("affected-count").textContent = affected.length === 1
    ? "Une phrase gardée se dit maintenant autrement." : `${affected.length} phrases gardées se disent maintenant autrement.`;
}

function take(answer, found) {
  version = answer.headers.get("ETag") ?? "*";
  sections = { names: found.names, words: found.words };
}

/** Writes the lexicon. If someone else has changed it meanwhile, theirs is read, and the person tries again. */
async function save(changed) {
  return act(async () => {
    try {
      const answer = await send("PUT", "/v1/lexicon", changed, { "If-Match": version });
      const found = await answer.json();
      take(answer, found);
      affected = found.affected.phrases;
      show();
      return true;
    } catch (error) {
      if (error.code === "lexicon_changed") await load();
      throw error;
    }
  });
}

async function load() {
  try {
    const answer = await send("GET", "/v1/lexicon");
    take(answer, await answer.json());
    show();
  } catch (error) {
    const missing = error.code === "lexicon_missing";
    $("no-lexicon").hidden = !missing;
    $("name-form").hidden = missing;
    if (!missing) notice(error.message);
  }
}

async function remake(done) {
  const phrases = affected;
  const failed = [];
  $("remake").disabled = true;
  $("remade").hidden = false;
  for (const [index, { key }] of phrases.entries()) {
    const made = await act(() => send("POST", `/v1/phrases/${key}/remake`));
    if (!made) failed.push(phrases[index]);
    $("remade").value = (index + 1) / phrases.length;
  }
  $("remake").disabled = false;
  $("remade").hidden = true;
  affected = failed;
  show();
  if (failed.length) notice(`${failed.length} phrases n’ont pas pu être refaites.`);
  done();
}

export function startNames(loadBoard) {
  $("name-form").onsubmit = async (event) => {
    event.preventDefault();
    if (await save(withEntry(sections, $("written").value.trim(), $("spoken").value.trim()))) {
      $("written").value = $("spoken").value = "";
      $("written").focus();
    }
  };
  $("hear-name").onclick = () => {
    const text = $("spoken").value.trim() || $("written").value.trim();
    if (text) hear(text);
  };
  $("remake").onclick = () => remake(loadBoard);
  load();
}
