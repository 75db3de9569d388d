// The clock of a tournament: how long the level lasts still, and what will be said of the next.

import { act } from "./bar.mjs";
import { $ } from "./dom.mjs";
import { countdown, leftOf } from "./level.mjs";
import { send } from "./wire.mjs";

const STATES = { paused: "en pause", running: "en marche", over: "terminée" };

function set(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

export function showClock({ clock }) {
  const off = clock.state === "off";
  $("clock-running").hidden = off;
  $("clock-sign").hidden = off;
  if (off) return;
  set("clock-state", `Niveau ${clock.name}, ${clock.level} sur ${clock.levels}, ${STATES[clock.state]}`);
  set("clock-text", clock.text);
  set("clock-next", clock.next_text ? `Ensuite : ${clock.next_text}` : "C’est le dernier niveau.");
  $("clock-start").textContent = clock.state === "paused" ? "Démarrer" : "Pause";
  $("clock-start").disabled = clock.state === "over";
  $("clock-back").disabled = clock.level <= 1;
  $("clock-on").disabled = clock.level >= clock.levels;
}

export function startClock(getState) {
  const shift = (body) => act(() => send("POST", "/v1/clock/shift", body));
  const level = () => getState().clock.level;
  $("clock-start").onclick = () =>
    act(() => send("POST", `/v1/clock/${getState().clock.state === "paused" ? "start" : "pause"}`));
  $("clock-more").onclick = () => shift({ seconds: -60 });
  $("clock-less").onclick = () => shift({ seconds: 60 });
  $("clock-back").onclick = () => shift({ level: level() - 1 });
  $("clock-on").onclick = () => shift({ level: level() + 1 });
  $("clock-off").onclick = () => {
    if (confirm("Éteindre l’horloge ?")) act(() => send("DELETE", "/v1/clock"));
  };
  $("clock-form").onsubmit = (event) => {
    event.preventDefault();
    const chime = $("clock-chime").value;
    act(() => send("PUT", "/v1/clock", { job: $("clock-book").value, ...(chime ? { chime } : {}) }));
  };
  setInterval(() => {
    const state = getState();
    if (state.clock.state === "off") return;
    const left = countdown(leftOf(state, performance.now()));
    set("clock-time", left);
    set("clock-sign", `Niveau ${state.clock.name} · ${left}`);
  }, 200);
}
