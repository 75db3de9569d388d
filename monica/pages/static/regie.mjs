// The page that the evening is run from.

import { showBar, startBar } from "./bar.mjs";
import { loadBoard, showBoard, startBoard } from "./board.mjs";
import { startFree } from "./free.mjs";
import { showLists } from "./lists.mjs";
import { startNames } from "./names.mjs";
import { startTabs } from "./tabs.mjs";
import { startWarming } from "./warming.mjs";
import { follow } from "./wire.mjs";

const known = new Set();

const getState = follow("/v1/events", (state, kind, data) => {
  showBar(state);
  showBoard(state);
  showLists(state);
  // A sound that was made for the antenna is a new phrase of the board.
  if (kind === "announcement" && data.sound_key && !known.has(data.sound_key)) {
    known.add(data.sound_key);
    loadBoard(getState);
  }
});

startTabs();
startBar(getState);
startBoard(getState);
startFree(() => loadBoard(getState));
startNames(() => loadBoard(getState));
startWarming(() => loadBoard(getState));
