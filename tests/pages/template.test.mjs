import assert from "node:assert/strict";
import { test } from "node:test";

import { fill, fold, labelOf, matches, nextSlot, requestOf } from "../../monica/pages/static/template.mjs";

const words = (text) => ({ words: text, slot: null, field: null });
const hole = (slot, field = "") => ({ words: null, slot, field });
const players = ["Élodie", "Ana", "Éloi", "Joëlo"].map((name) => ({ "": name }));
const slots = [{ name: "killer", roster: "players" }, { name: "victim", roster: "players" }];

test("slots are filled, and those without a value are shown by name", () => {
  const parts = [hole("killer"), words(" élimine "), hole("victim"), words(" !")];
  assert.equal(fill(parts, { killer: players[1] }), "Ana élimine [victim] !");
  assert.equal(fill([words("À "), hole("level", "small"), words("/"), hole("level", "big")],
                    { level: { small: "10", big: "20" } }), "À 10/20");
});

test("one slot after the other is asked for", () => {
  assert.equal(nextSlot(slots, {}).name, "killer");
  assert.equal(nextSlot(slots, { killer: players[0] }).name, "victim");
  assert.equal(nextSlot(slots, { killer: players[0], victim: players[1] }), undefined);
});

test("values are found without case and accents, those that begin so first", () => {
  const found = (typed, chosen = {}) => matches({ players }, slots, slots[0], chosen, typed).map(labelOf);
  assert.deepEqual(found("elo"), ["Élodie", "Éloi", "Joëlo"]);
  assert.deepEqual(found(" ANA "), ["Ana"]);
  assert.deepEqual(found("x"), []);
  assert.equal(fold("Œuf à l’Été"), "oeuf a l’ete");
});

test("no one knocks out himself, but a choice may be changed", () => {
  const chosen = { killer: players[1], victim: players[2] };
  const offered = matches({ players }, slots, slots[0], chosen, "").map(labelOf);
  assert.deepEqual(offered, ["Élodie", "Ana", "Joëlo"]);
});

test("a long roster offers few values", () => {
  const many = Array.from({ length: 500 }, (_, number) => ({ "": `Joueur ${number}` }));
  assert.equal(matches({ players: many }, slots, slots[0], {}, "").length, 12);
});

test("a filled phrase is asked for as the book says it", () => {
  const tile = { parts: [words("Pause.")], voice: "monica", seed: null, params: { exaggeration: 0.7 } };
  assert.deepEqual(requestOf(tile, {}), { text: "Pause.", voice: "monica", exaggeration: 0.7 });
  assert.equal(requestOf({ ...tile, seed: 4 }, {}).seed, 4);
});
