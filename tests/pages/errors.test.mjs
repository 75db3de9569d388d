import assert from "node:assert/strict";
import { test } from "node:test";

import { SENTENCES, sentenceOf } from "../../monica/pages/static/errors.mjs";

test("a code has a sentence, whatever Monica says in her own words", () => {
  assert.equal(sentenceOf("queue_full", "1000 announcements already wait."), SENTENCES.queue_full);
});

test("a sentence that needs details gets them", () => {
  assert.equal(
    sentenceOf("book_invalid", "soirée.toml, line 3, phrases[0]: there is no text"),
    "Le répertoire contient une faute : ligne 3, phrases[0] : il n’y a pas de texte",
  );
  assert.equal(sentenceOf("book_invalid"), "Le répertoire contient une faute.");
});

test("a code that is not known shows what came with it", () => {
  assert.equal(sentenceOf("new_code", "Something new."), "Something new.");
  assert.match(sentenceOf(undefined, undefined), /inconnue/);
});
