// A phrase of a book with slots: who knocks out whom. Nothing here knows of the page.

const MAX_MATCHES = 12;

/** Writes a text so that case and accents do not matter. */
export const fold = (text) =>
  text.toLowerCase().replaceAll("œ", "oe").replaceAll("æ", "ae").normalize("NFD").replace(/\p{M}/gu, "");

/** What people call a value of a roster: the value, or the fields of a record. */
export const labelOf = (value) => ("" in value ? value[""] : Object.values(value).join(" · "));

/** The text with its slots filled; what is not chosen yet is shown as its name in brackets. chosen: values by slot. */
export const fill = (parts, chosen) =>
  parts.map(({ words, slot, field }) => words ?? chosen[slot]?.[field] ?? `[${slot}]`).join("");

/** The first slot that has no value yet; undefined if all have one. */
export const nextSlot = (slots, chosen) => slots.find(({ name }) => !chosen[name]);

/** The values of a slot's roster that fit what is typed: those that begin so first. No value is taken twice from one roster. */
export function matches(rosters, slots, slot, chosen, typed) {
  const taken = new Set(slots.filter(({ name, roster }) => name !== slot.name && roster === slot.roster)
    .map(({ name }) => chosen[name]));
  const wanted = fold(typed.trim());
  const found = (rosters[slot.roster] ?? []).filter((value) => !taken.has(value) && fold(labelOf(value)).includes(wanted));
  const begins = (value) => (fold(labelOf(value)).startsWith(wanted) ? 0 : 1);
  return found.sort((a, b) => begins(a) - begins(b)).slice(0, MAX_MATCHES);
}

/** What is asked of Monica for a filled phrase: the same as the book, so that what was prepared is found. */
export function requestOf({ parts, voice, seed, params }, chosen) {
  return { text: fill(parts, chosen), voice, ...(seed === null ? {} : { seed }), ...params };
}
