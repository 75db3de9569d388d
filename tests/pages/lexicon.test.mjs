import assert from "node:assert/strict";
import { test } from "node:test";

import { entriesOf, spokenOf, withEntry, withoutEntry } from "../../monica/pages/static/lexicon.mjs";

const sections = { names: { Rusmir: { said: "Rousmire", ipa: "ʁusmiʁ" }, Élise: "Élize" }, words: { shove: { ipa: "ʃœv" } } };

test("an entry is shown as it is said", () => {
  assert.deepEqual(["Nouyène", { said: "a", ipa: "b" }, { ipa: "b" }, { chatterbox: "c" }].map(spokenOf),
                   ["Nouyène", "a", "/b/", "chatterbox"]);
});

test("entries are in the order of the alphabet, accents aside", () => {
  assert.deepEqual(entriesOf(sections).map(({ written }) => written), ["Élise", "Rusmir", "shove"]);
});

test("a name goes among the names, a word among the words, and one that is there stays where it is", () => {
  assert.equal(withEntry(sections, "Nguyen", "Nouyène").names.Nguyen, "Nouyène");
  assert.equal(withEntry(sections, "tilt", "tilte").words.tilt, "tilte");
  const changed = withEntry({ names: {}, words: { BBs: "x" } }, "BBs", "bébés");
  assert.deepEqual(changed, { names: {}, words: { BBs: "bébés" } });
});

test("an entry is taken out of either section, and the rest is left alone", () => {
  assert.deepEqual(withoutEntry(sections, "shove"), { ...sections, words: {} });
  assert.deepEqual(Object.keys(withoutEntry(sections, "Rusmir").names), ["Élise"]);
  assert.equal(Object.keys(sections.names).length, 2);
});
