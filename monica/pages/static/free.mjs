// A free sentence: how it will be said while it is typed; hear it here, put it on air, keep it on the board.

import { act } from "./bar.mjs";
import { $, h } from "./dom.mjs";
import { listen } from "./player.mjs";
import { send } from "./wire.mjs";

const TYPING_MS = 250;
const CHARACTERS_A_SECOND = 15;

/** The body of an announcement, from what the form says. */
export function announcementOf({ text, priority, chime, repeat, at }) {
  const body = { text, priority, repeat: Number(repeat) || 1 };
  if (chime) body.chime = chime;
  if (at) body.at = at;
  return body;
}

async function preview() {
  const text = $("text").value.trim();
  if (!text) {
    $("said").textContent = "";
    return;
  }
  try {
    const said = await (await send("POST", "/v1/text", { text })).json();
    if ($("text").value.trim() !== text) return; // more has been typed since
    const seconds = Math.max(1, Math.round(said.text.length / CHARACTERS_A_SECOND));
    $("said").textContent = `« ${said.sentences.join(" ")} » — environ ${seconds} s`;
  } catch (error) {
    $("said").textContent = error.message;
  }
}

export function startFree(loadBoard) {
  let timer;
  $("text").oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(preview, TYPING_MS);
  };
  const text = () => $("text").value.trim();
  const whenWritten = (what) => async () => {
    if ($("free-form").reportValidity() && text()) await act(what);
  };
  $("free-form").onsubmit = async (event) => {
    event.preventDefault();
    const made = await act(() => send("POST", "/v1/announcements", announcementOf({
      text: text(), priority: $("priority").value, chime: $("chime").value, repeat: $("repeat").value, at: $("at").value,
    })));
    if (made) {
      $("text").value = $("said").textContent = $("at").value = "";
      $("repeat").value = "1";
      $("text").focus();
    }
  };
  $("hear").onclick = whenWritten(async () => listen(await send("POST", "/blabla", { text: text() })));
  $("keep").onclick = whenWritten(async () => {
    const made = await send("POST", "/blabla", { text: text() });
    const key = made.headers.get("ETag")?.replaceAll('"', "");
    if (!key) throw new Error("Cette phrase n’a pas pu être gardée.");
    await send("PUT", `/v1/phrases/${key}/pin`);
    await loadBoard();
  });
  act(async () => {
    const { chimes } = await (await send("GET", "/v1/chimes")).json();
    for (const id of ["chime", "clock-chime"]) $(id).append(...chimes.map((name) => h("option", { value: name }, name)));
  }, true);
}
