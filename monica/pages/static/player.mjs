// Plays a sound here, for the person at this page alone. A second one stops the first.

import { notice } from "./bar.mjs";
import { at } from "./wire.mjs";

const audio = new Audio();
let blob = null;

/** Plays a path of Monica's, or the body of a response. */
export async function listen(source) {
  if (blob) URL.revokeObjectURL(blob);
  blob = typeof source === "string" ? null : URL.createObjectURL(await source.blob());
  audio.src = blob ?? at(source);
  try {
    await audio.play();
    notice(null);
  } catch (error) {
    if (error.name !== "AbortError") notice("Ce son ne peut pas être joué ici.");
  }
}
