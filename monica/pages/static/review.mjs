// What was heard of a phrase and its takes, for people. Nothing here knows of the page.

const VERDICTS = { accepted: "acceptée", good: "bonne", doubtful: "douteuse", wrong: "mauvaise" };
const FAULTS = { too_long: ", trop longue", too_short: ", trop courte" };

const seconds = (number) => `${number.toFixed(1).replace(".", ",")} s`;

/** A text cut at the words that were heard otherwise: [{ text }, { text, heard }, ...]. A word too many has no text. */
export function partsOf({ expected, differences }) {
  const parts = [];
  let left = expected;
  for (const { said, heard } of differences.filter((each) => each.said)) {
    const place = left.indexOf(said);
    if (place < 0) continue;
    if (place) parts.push({ text: left.slice(0, place) });
    parts.push({ text: said, heard });
    left = left.slice(place + said.length);
  }
  if (left) parts.push({ text: left });
  return [...parts, ...differences.filter((each) => !each.said).map(({ heard }) => ({ text: "", heard }))];
}

/** What was heard instead of a word. text: empty for a word too many; heard: empty for one that is missing. */
export const heardOf = (text, heard) =>
  !heard ? "(pas entendu)" : text ? `(entendu : ${heard})` : `(entendu en trop : ${heard})`;

export const quoted = (text) => `«\u00a0${text}\u00a0»`;

const said = ({ verdict, fault, heard }) => `${VERDICTS[verdict]}${FAULTS[fault] ?? ""} : ${quoted(heard)}`;

/** The takes of a phrase as rows. What is kept has a row even if it is not among the takes. */
export function rowsOf({ key, kept, takes }) {
  const rows = takes.map(({ number, kept: current, seconds: long, hearing }) => ({
    number, current, path: `/v1/phrases/${key}/takes/${number}/audio`,
    name: `Prise ${number}${current ? ", gardée" : ""}`,
    heard: [seconds(long), hearing ? said(hearing) : ""].filter(Boolean).join(" · "),
  }));
  const among = rows.some(({ current }) => current);
  return kept && !among ? [{ number: null, current: true, path: `/v1/phrases/${key}/audio`, name: "Prise gardée", heard: "" }, ...rows] : rows;
}
