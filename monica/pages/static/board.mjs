// The board: kept phrases, or a group of a book, as tiles. One tap puts a phrase on air; the small button plays it here.

import { act } from "./bar.mjs";
import { chosenGroup } from "./books.mjs";
import { $, clock, fill, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { openSlots } from "./slots.mjs";
import { statusOf } from "./store.mjs";
import { fold, requestOf } from "./template.mjs";
import { send } from "./wire.mjs";

const PAGE = 60;
const TYPING_MS = 250;
const NOWHERE = {};

let phrases = [];
let offset = 0;
let total = 0;
let asked = 0;

function words(status, { seconds, ready, slots }) {
  if (status === "on_air") return "à l’antenne";
  if (status === "waiting") return "dans la file";
  if (status === "making") return "se prépare";
  if (status === "failed") return "en échec";
  if (status) return `dite à ${clock(status)}`;
  if (slots) return "à compléter";
  if (ready !== undefined && ready !== null) return ready ? "prête" : "sera faite";
  return seconds ? `${seconds.toFixed(1).replace(".", ",")} s` : "";
}

const announce = (body) => act(() => send("POST", "/v1/announcements", body));

/** What a tile does. Kept phrases have a key, those of a book have parts. */
function deeds({ key, tile, slots }) {
  if (key) return { air: () => announce({ key }), hear: () => listen(`/v1/phrases/${key}/audio`) };
  if (slots) return { air: () => openSlots(tile, chosenGroup().rosters) };
  const body = requestOf(tile, NOWHERE);
  return { air: () => announce(body), hear: () => act(async () => listen(await send("POST", "/blabla", body)), true) };
}

function row(item) {
  const { air, hear } = deeds(item);
  return h("li", { className: `tile ${item.status === "on_air" ? "live" : ""} ${item.pinned ? "pinned" : ""}` },
    h("button", { className: "air", onclick: air }, item.text || "Phrase sans texte", h("small", {}, words(item.status, item))),
    hear ? h("button", { className: "hear", label: `Écouter ici : ${item.text}`, onclick: hear }, "▷") : null);
}

function tilesOf(group) {
  const wanted = fold($("search").value.trim());
  return group.tiles.filter(({ text }) => fold(text).includes(wanted)).map((tile) =>
    ({ text: tile.text, tile, slots: tile.slots.length > 0, ready: tile.ready }));
}

export function showBoard(state) {
  const group = chosenGroup();
  const all = group ? tilesOf(group) : phrases;
  const shown = group ? all.slice(offset, offset + PAGE) : all;
  const count = group ? all.length : total;
  const tiles = shown.map((each, index) => ({ ...each, id: each.key ?? `${index} ${each.text}`, status: statusOf(state, each) }));
  fill($("tiles"), tiles, ({ id }) => id, row);
  $("no-tiles").hidden = tiles.length > 0;
  $("pages").hidden = count <= PAGE;
  $("page").textContent = `${offset + 1} à ${offset + tiles.length} sur ${count.toLocaleString("fr-FR")}`;
  $("page-back").disabled = offset === 0;
  $("page-on").disabled = offset + PAGE >= count;
}

/** Asks for the phrases again: after a search, or when one has been made. */
export async function loadBoard(getState) {
  const number = ++asked;
  if (!chosenGroup()) {
    const query = new URLSearchParams({ search: $("search").value.trim(), sort: "made", limit: PAGE, offset });
    if ($("group").value === "pinned") query.set("pinned", "true");
    const found = await act(async () => (await send("GET", `/v1/phrases?${query}`)).json(), true);
    if (!found || number !== asked) return; // an answer that a later question has overtaken
    phrases = found.phrases.map(({ key, text, seconds, pinned }) => ({ key, text, seconds, pinned }));
    total = found.total;
  }
  showBoard(getState());
}

export function startBoard(getState) {
  let timer;
  const turn = (to) => {
    offset = Math.max(0, to);
    return loadBoard(getState);
  };
  $("search").oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => turn(0), TYPING_MS);
  };
  $("group").onchange = () => turn(0);
  $("page-back").onclick = () => turn(offset - PAGE);
  $("page-on").onclick = () => turn(offset + PAGE);
  // The digits put the first nine tiles on air, unless someone is typing.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || $("board").hidden) return;
    if (/^[1-9]$/.test(event.key)) $("tiles").children[Number(event.key) - 1]?.querySelector(".air").click();
  });
}
