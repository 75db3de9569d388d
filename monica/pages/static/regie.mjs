// The page that the evening is run from.

import { showBar, startBar } from "./bar.mjs";
import { loadBoard, showBoard, startBoard } from "./board.mjs";
import { forgetBooks, loadBooks } from "./books.mjs";
import { showClock, startClock } from "./clock.mjs";
import { loadDoubts, startDoubts } from "./doubts.mjs";
import { startFree } from "./free.mjs";
import { showLists } from "./lists.mjs";
import { startNames } from "./names.mjs";
import { startSlots } from "./slots.mjs";
import { startTabs } from "./tabs.mjs";
import { startTakes } from "./takes.mjs";
import { showJobs, startWarming } from "./warming.mjs";
import { follow } from "./wire.mjs";

const known = new Set();
const ended = new Set(); // jobs, whose phrases are ready

/** Loads again what an event says has changed: a sound was made, or a job has come or ended. */
async function refresh(kind, data) {
  if (kind === "announcement" && data.sound_key && !known.has(data.sound_key)) {
    known.add(data.sound_key);
    await loadBoard(getState);
  }
  if (kind === "state" || (kind === "job" && (data.state === "waiting" || (data.ended && !ended.has(data.id))))) {
    if (data.ended) ended.add(data.id);
    await loadBoard(getState);
    forgetBooks();
    await loadBooks();
    await loadDoubts();
    showBoard(getState());
  }
}

const getState = follow("/v1/events", (state, kind, data) => {
  showBar(state);
  showBoard(state);
  showLists(state);
  showClock(state);
  showJobs(state);
  refresh(kind, data);
});

startTabs();
startBar(getState);
startBoard(getState);
startClock(getState);
startDoubts();
startFree(() => loadBoard(getState));
startNames(() => loadBoard(getState));
startSlots();
startTakes();
startWarming();
