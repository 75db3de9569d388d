// Phrases made ahead of time: a book is estimated, started, followed and stopped.

import { act } from "./bar.mjs";
import { $, fill, h } from "./dom.mjs";
import { sentenceOf } from "./errors.mjs";
import { send } from "./wire.mjs";

const STATES = { waiting: "attend son tour", running: "en cours", done: "finie", stopped: "arrêtée", failed: "en échec" };

/** Seconds for people: 50 s, 12 min, 3 h 05. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "durée encore inconnue";
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}

/** What making a book would take, for people. */
export function estimateText({ phrases, cached, time_s, fits, measured }) {
  const kept = cached === null ? "" : `, dont ${cached} déjà prêtes`;
  const room = fits === false ? " Le cache est trop petit pour toutes." : "";
  const guess = measured ? "" : " C'est une première estimation.";
  return `${phrases} phrases${kept} : ${duration(time_s)}.${room}${guess}`;
}

function job(each) {
  const ended = each.cached + each.made + each.failed;
  const stoppable = each.state === "waiting" || each.state === "running";
  const details = [STATES[each.state] ?? each.state, `${ended} sur ${each.total}`];
  if (each.failed) details.push(`${each.failed} en échec`);
  if (each.state === "running") details.push(`encore ${duration(each.left_s)}`);
  if (each.reason) details.push(each.state === "running" ? "attend que la voix soit libre" : sentenceOf(each.reason_code, each.reason));
  if (each.warning && stoppable) details.push("le cache est trop petit : les dernières phrases ne seront pas faites");
  return h("li", { className: "cue" },
    h("p", {}, each.name), h("p", {}, h("small", {}, details.join(" · "))),
    h("progress", { max: Math.max(1, each.total), value: ended, label: `Avancement : ${each.name}` }),
    ...each.failures.map(({ text, code, message }) => h("p", {}, h("small", {}, `« ${text} » : ${sentenceOf(code, message)}`))),
    stoppable ? h("div", { className: "buttons" },
      h("button", { label: `Arrêter : ${each.name}`, onclick: () => act(() => send("DELETE", `/v1/jobs/${each.id}`)) }, "Arrêter"),
    ) : null);
}

export function showJobs({ jobs }) {
  fill($("jobs"), jobs, ({ id }) => id, job);
  $("no-jobs").hidden = jobs.length > 0;
}

export function startWarming() {
  const book = (more = {}) => ({ name: $("book-file").files[0]?.name ?? "répertoire", book: $("book").value, ...more });
  $("book-file").onchange = async () => {
    const [file] = $("book-file").files;
    if (file) $("book").value = await file.text();
  };
  $("dry-run").onclick = async () => {
    if (!$("book-form").reportValidity()) return;
    const found = await act(async () => (await send("POST", "/v1/phrases/warm", book({ dry_run: true }))).json());
    $("estimate").textContent = found ? estimateText(found) : "";
  };
  $("book-form").onsubmit = async (event) => {
    event.preventDefault();
    await act(() => send("POST", "/v1/phrases/warm", book()));
  };
}
