// The board: the kept phrases as tiles. One tap puts a phrase on air; the small button plays it here.

import { act } from "./bar.mjs";
import { $, clock, fill, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { statusOf } from "./store.mjs";
import { send } from "./wire.mjs";

const PAGE = 60;
const TYPING_MS = 250;

let phrases = [];
let shown = PAGE;
let total = 0;
let asked = 0;

function words(status, seconds) {
  if (status === "on_air") return "à l’antenne";
  if (status === "waiting") return "dans la file";
  if (status) return `dite à ${clock(status)}`;
  return seconds ? `${seconds.toFixed(1).replace(".", ",")} s` : "";
}

function tile({ key, text, status, seconds, pinned }) {
  const air = h("button", { className: "air", onclick: () => act(() => send("POST", "/v1/announcements", { key })) },
                text || "Phrase sans texte", h("small", {}, words(status, seconds)));
  const hear = h("button", { className: "hear", label: `Écouter ici : ${text}`,
                             onclick: () => listen(`/v1/phrases/${key}/audio`) }, "▷");
  return h("li", { className: `tile ${status === "on_air" ? "live" : ""} ${pinned ? "pinned" : ""}` }, air, hear);
}

export function showBoard(state) {
  const tiles = phrases.map(({ key, text, seconds, pinned }) =>
    ({ key, text, seconds, pinned, status: statusOf(state, key) }));
  fill($("tiles"), tiles, (each) => each.key, tile);
  $("no-tiles").hidden = tiles.length > 0;
  $("more-tiles").hidden = total <= phrases.length;
}

/** Asks for the phrases again: after a search, or when one has been made. */
export async function loadBoard(getState) {
  const number = ++asked;
  const query = new URLSearchParams({ search: $("search").value.trim(), sort: "made", limit: shown });
  const found = await act(async () => (await send("GET", `/v1/phrases?${query}`)).json(), true);
  if (!found || number !== asked) return; // an answer that a later question has overtaken
  phrases = found.phrases.sort((a, b) => Number(b.pinned) - Number(a.pinned));
  total = found.total;
  showBoard(getState());
}

export function startBoard(getState) {
  let timer;
  $("search").oninput = () => {
    clearTimeout(timer);
    shown = PAGE;
    timer = setTimeout(() => loadBoard(getState), TYPING_MS);
  };
  $("more-tiles").onclick = () => {
    shown = Math.min(shown + PAGE, 1000);
    loadBoard(getState);
  };
  // The digits put the first nine tiles on air, unless someone is typing.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || $("board").hidden) return;
    if (/^[1-9]$/.test(event.key)) $("tiles").children[Number(event.key) - 1]?.querySelector(".air").click();
  });
  loadBoard(getState);
}
