import assert from "node:assert/strict";
import { test } from "node:test";

import { heardOf, partsOf, rowsOf } from "../../monica/pages/static/review.mjs";

const hearing = (differences, expected = "La table sept attend Rusmir.") => ({ expected, differences, verdict: "doubtful", heard: "La table douze." });

test("a text is cut where it was heard otherwise", () => {
  const found = partsOf(hearing([
    { said: "sept", heard: "douze", kind: "number" }, { said: "Rusmir", heard: "", kind: "name" }, { said: "", heard: "encore", kind: "word" },
  ]));
  assert.deepEqual(found, [
    { text: "La table " }, { text: "sept", heard: "douze" }, { text: " attend " }, { text: "Rusmir", heard: "" }, { text: "." },
    { text: "", heard: "encore" },
  ]);
});

test("the second of two equal words is found after the first, and what is not in the text is left out", () => {
  const found = partsOf(hearing([{ said: "x", heard: "y" }, { said: "à", heard: "a" }, { said: "à", heard: "" }], "à tous, à toi"));
  assert.deepEqual(found, [{ text: "à", heard: "a" }, { text: " tous, " }, { text: "à", heard: "" }, { text: " toi" }]);
});

test("what is kept has a row, once", () => {
  const takes = [{ number: 1, kept: false, seconds: 2, hearing: null }, { number: 2, kept: true, seconds: 1.25, hearing: hearing([]) }];
  const rows = rowsOf({ key: "abc", kept: true, takes });
  assert.deepEqual(rows.map(({ name }) => name), ["Prise 1", "Prise 2, gardée"]);
  assert.equal(rows[1].heard, "1,3 s · douteuse : «\u00a0La table douze.\u00a0»");
  assert.equal(rows[0].path, "/v1/phrases/abc/takes/1/audio");
  const long = rowsOf({ key: "abc", kept: true, takes: [{ ...takes[1], hearing: { ...hearing([]), fault: "too_long" } }] });
  assert.match(long[0].heard, /· douteuse, trop longue : «/);
  const alone = rowsOf({ key: "abc", kept: true, takes: [takes[0]] });
  assert.deepEqual(alone.map(({ name, number }) => [name, number]), [["Prise gardée", null], ["Prise 1", 1]]);
  assert.deepEqual(rowsOf({ key: "abc", kept: false, takes: [] }), []);
});

test("a word is wrong, missing or too many", () => {
  assert.deepEqual([heardOf("sept", "douze"), heardOf("Rusmir", ""), heardOf("", "encore")],
    ["(entendu : douze)", "(pas entendu)", "(entendu en trop : encore)"]);
});
