// The page on the machine at the mixer: it plays what is on air, and says what it plays.

import { $ } from "./dom.mjs";
import { at, follow, send } from "./wire.mjs";

const newId = () => (sessionStorage.monicaSpeaker = crypto.getRandomValues(new Uint32Array(2)).join("-"));

/** The id of this tab, which stays when it is loaded again. A tab that was duplicated has the other one's: it gets a new one. */
async function ownId() {
  const kept = sessionStorage.monicaSpeaker ?? newId();
  if (!navigator.locks) return kept; // only pages of a secure origin have them
  const mine = (name) => new Promise((resolve) => {
    navigator.locks.request(`monica-speaker-${name}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {}); // held until the tab is closed
    });
  });
  if (await mine(kept)) return kept;
  const other = newId();
  await mine(other);
  return other;
}

const id = await ownId();
const name = localStorage.monicaSpeakerName || "La salle";
const audio = new Audio();
let playing = null; // the id of the announcement that is heard here
let fading = null;
let allowed = false;

function report(event, fields = {}) {
  return send("POST", `/v1/speakers/${id}/reports`, { event, ...fields }).then((response) => response.json(), () => null);
}

function reportPlaying() {
  return report("playing", { announcement: playing, position_s: audio.currentTime });
}

async function play(cue, again) {
  clearInterval(fading);
  playing = cue.id;
  audio.volume = 1;
  if (!again) audio.src = at(`/v1/announcements/${cue.id}/audio`);
  try {
    await audio.play();
    setAllowed(true);
    reportPlaying();
  } catch (error) {
    if (error.name === "AbortError") return; // another one has begun
    if (error.name === "NotAllowedError") setAllowed(false);
    else report("failed", { announcement: cue.id, reason: error.message.slice(0, 200) });
    playing = null;
  }
}

function fade(milliseconds) {
  const steps = 10;
  clearInterval(fading);
  fading = setInterval(() => {
    audio.volume = Math.max(0, audio.volume - 1 / steps);
    if (audio.volume > 0) return;
    clearInterval(fading);
    audio.pause();
    playing = null;
  }, milliseconds / steps);
}

audio.onended = () => {
  const ended = playing;
  playing = null;
  if (ended) report("ended", { announcement: ended });
};
audio.onerror = () => {
  if (playing) report("failed", { announcement: playing, reason: audio.error?.message.slice(0, 200) || "son illisible" });
  playing = null;
};

function setAllowed(may) {
  $("blocked").hidden = may;
  if (may !== allowed) report(may ? "ready" : "blocked");
  allowed = may;
}

/** Whether this browser lets the page play: silence is tried. */
async function mayPlay() {
  const silence = new Audio(at("/pages/silence.wav"));
  try {
    await silence.play();
    return true;
  } catch (error) {
    return error.name !== "NotAllowedError";
  }
}

const getState = follow(`/v1/events?${new URLSearchParams({ speaker: id, name })}`, async (state, kind, data) => {
  $("link").textContent = state.connected ? "Connectée" : "Pas de connexion";
  $("link").className = `sign ${state.connected ? "good" : "bad"}`;
  const here = state.speakers.find((speaker) => speaker.id === id);
  $("role").textContent = here?.active ? "Cette page diffuse" : here ? "En réserve : une autre page diffuse" : "";
  $("sentence").textContent = state.onAir?.text ?? "";
  if (kind === "stop" && data.id === playing) fade(data.fade_ms);
  if (kind === "state") {
    allowed = !(await mayPlay()); // whatever was reported to another run of the server is said again
    setAllowed(!allowed);
    if (playing) reportPlaying().then((answer) => {
      if (answer && !answer.should_play) fade(100);
    });
  }
  const onAir = getState?.().onAir ?? state.onAir;
  const mine = onAir && state.speaker === id;
  if (mine && onAir.id !== playing && (kind === "antenna" || kind === "state")) play(onAir);
  // It began so late that it was taken off the air, and is on again: it is heard already.
  else if (mine && kind === "antenna" && audio.currentTime > 0 && !audio.paused) reportPlaying();
});

$("name").value = name;
$("name").onchange = () => {
  localStorage.monicaSpeakerName = $("name").value.trim();
  location.reload();
};
$("allow").onclick = async () => {
  setAllowed(await mayPlay());
  const { onAir, speaker } = getState();
  if (onAir && speaker === id) play(onAir);
};
