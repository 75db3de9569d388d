// What is always in sight: what is on air and how long still, STOP, hold, the speaker, Monica's health, the lock.

import { $ } from "./dom.mjs";
import { progress } from "./store.mjs";
import { send } from "./wire.mjs";

const WORDS = { ok: "Monica va bien", degraded: "Monica : à surveiller", loading: "Monica se prépare",
                failed: "Monica ne parle pas", stopping: "Monica s’arrête" };

let locked = false;

/** Whether a tap counts. */
export const isLocked = () => locked;

/** Shows something that went wrong, until the next thing goes right. */
export function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text ?? "";
}

/** Runs what a person asked for, unless the page is locked, and shows why if it fails. Returns its result. */
export async function act(what, evenLocked = false) {
  if (locked && !evenLocked) {
    notice("La page est verrouillée.");
    return undefined;
  }
  try {
    const result = await what();
    notice(null);
    return result;
  } catch (error) {
    notice(error.message);
    return undefined;
  }
}

function sign(id, text, good) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
  element.className = `sign ${good === undefined ? "" : good ? "good" : "bad"}`;
}

export function showBar(state) {
  sign("link", state.connected ? "Connectée" : "Pas de connexion", state.connected);
  const active = state.speakers.find((speaker) => speaker.active);
  const blocked = state.speakers.length > 0 && !active;
  sign("speaker", active ? `Haut-parleur : ${active.name}` : blocked ? "Haut-parleur muet : touchez sa page" : "Aucun haut-parleur", Boolean(active));
  const onAir = $("on-air");
  const text = state.onAir ? state.onAir.text : state.held ? "File suspendue" : "Rien à l’antenne";
  if (onAir.textContent !== text) onAir.textContent = text;
  onAir.classList.toggle("live", Boolean(state.onAir));
  $("hold").textContent = state.held ? "Reprendre" : "Suspendre";
  $("hold").classList.toggle("held", state.held);
  $("hold").setAttribute("aria-pressed", state.held);
  $("skip").disabled = !state.onAir;
  $("waiting").textContent = state.queue.length || "";
  const status = state.connected ? state.health?.status : undefined;
  sign("health", status ? WORDS[status] ?? status : "", status === "ok");
}

export function startBar(getState) {
  for (const stop of document.querySelectorAll("[data-stop]")) { // in the dialogs too, and never locked
    stop.onclick = () => act(() => send("POST", "/v1/antenna/stop"), true);
  }
  $("hold").onclick = () => act(() => send("POST", `/v1/antenna/${getState().held ? "resume" : "hold"}`));
  $("skip").onclick = () => act(() => send("POST", "/v1/antenna/skip"));
  $("replay").onclick = () => act(() => send("POST", "/v1/antenna/replay", {}));
  $("lock").onclick = () => {
    locked = !locked;
    $("lock").setAttribute("aria-pressed", locked);
    $("lock").textContent = locked ? "Déverrouiller" : "Verrouiller";
    document.body.classList.toggle("locked", locked);
    notice(null);
  };
  setInterval(() => {
    const bar = $("progress");
    bar.hidden = !getState().onAir;
    bar.value = progress(getState(), performance.now());
  }, 200);
}
