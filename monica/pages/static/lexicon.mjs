// The venue's lexicon as the page edits it. Nothing here knows of the page.

/** How an entry is said, for people: an entry is a respelling, or an object of respellings and phonemes. */
export function spokenOf(entry) {
  if (typeof entry === "string") return entry;
  return entry.said ?? (entry.ipa ? `/${entry.ipa}/` : Object.keys(entry).join(", "));
}

/** Returns the sections with an entry. A name has a capital, and matches wherever it stands. */
export function withEntry(sections, written, spoken) {
  const place = written in sections.words || written === written.toLowerCase() ? "words" : "names";
  return { ...sections, [place]: { ...sections[place], [written]: spoken } };
}

/** Returns the sections without an entry. */
export function withoutEntry(sections, written) {
  const { [written]: _name, ...names } = sections.names;
  const { [written]: _word, ...words } = sections.words;
  return { names, words };
}

/** The entries of both sections, in the order of the alphabet. */
export const entriesOf = ({ names, words }) =>
  [...Object.entries(names), ...Object.entries(words)]
    .map(([written, entry]) => ({ written, spoken: spokenOf(entry) }))
    .sort((a, b) => a.written.localeCompare(b.written, "fr"));
