import assert from "node:assert/strict";
import { test } from "node:test";

import { nothing, progress, reduce, statusOf, waits } from "../../monica/pages/static/store.mjs";

const cue = (id, more = {}) => ({
  id, text: id, key: null, sound_key: null, state: "queued", priority: "normal", position: 1, created: 1, ended: null, ...more,
});
const after = (...events) => events.reduce((state, [kind, data]) => reduce(state, kind, data, 1000), nothing);
const ids = (cues) => cues.map((each) => each.id);

test("the queue is in the order of priority, position and age", () => {
  const state = after(
    ["announcement", cue("ambient", { priority: "ambient" })],
    ["announcement", cue("second", { position: 2 })],
    ["announcement", cue("first")],
    ["announcement", cue("urgent", { priority: "urgent", position: 9 })],
  );
  assert.deepEqual(ids(state.queue), ["urgent", "first", "second", "ambient"]);
});

test("an announcement is in one list only, wherever it goes", () => {
  const state = after(
    ["announcement", cue("a")],
    ["announcement", cue("a", { state: "ready" })],
    ["announcement", cue("a", { state: "on_air" })],
  );
  assert.deepEqual([ids(state.queue), ids(state.history)], [[], []]);
  const done = reduce(state, "announcement", cue("a", { state: "done" }), 0);
  assert.deepEqual([ids(done.queue), ids(done.history)], [[], ["a"]]);
  const again = reduce(done, "announcement", cue("a", { state: "queued" }), 0);
  assert.deepEqual([ids(again.queue), ids(again.history)], [["a"], []]);
});

test("the whole state replaces what was known", () => {
  const state = reduce(after(["announcement", cue("old")]), "state",
    { held: true, on_air: cue("now", { state: "on_air" }), left_s: 2, speaker: "x", speakers: [{ id: "x" }],
      queue: [cue("b", { position: 2 }), cue("a")], history: [cue("h", { state: "done" })],
      clock: { state: "running", left_s: 3 }, health: { status: "ok" }, jobs: [{ id: "j" }] }, 5000);
  assert.deepEqual([ids(state.queue), ids(state.history), state.onAir.id, state.held], [["a", "b"], ["h"], "now", true]);
  assert.deepEqual([state.endsAt, state.levelEndsAt, state.health.status, state.jobs.length], [7000, 8000, "ok", 1]);
});

test("a reducer never changes the state it is given", () => {
  const before = Object.freeze({ ...nothing, queue: Object.freeze([cue("a")]), history: Object.freeze([]) });
  reduce(before, "announcement", cue("b"), 0);
  assert.deepEqual(ids(before.queue), ["a"]);
});

test("a phrase knows what it is doing", () => {
  const state = after(
    ["announcement", cue("w", { key: "waiting" })],
    ["announcement", cue("d", { sound_key: "done", state: "done", ended: 42 })],
    ["announcement", cue("f", { key: "failed", state: "failed", ended: 43 })],
    ["antenna", { held: false, on_air: cue("o", { key: "on", state: "on_air" }), left_s: 1, speaker: "x" }],
  );
  assert.deepEqual(["waiting", "done", "failed", "on", "none"].map((key) => statusOf(state, { key })),
                   ["waiting", 42, "failed", "on_air", null]);
});

test("progress goes from 0 to 1 and no further", () => {
  const state = after(["antenna", { held: false, on_air: cue("o", { duration_s: 4 }), left_s: 4, speaker: "x" }]);
  assert.deepEqual([0, 1000, 3000, 5000, 99999].map((now) => progress(state, now)), [0, 0, 0.5, 1, 1]);
  assert.equal(progress(nothing, 5), 0);
});

test("only announcements that have yet to go on air wait", () => {
  assert.deepEqual(["queued", "making", "ready", "on_air", "done", "failed"].map((state) => waits({ state })),
                   [true, true, true, false, false, false]);
});

test("a phrase that is being made says so, and one that was said after it failed too", () => {
  const failed = ["announcement", cue("f", { key: "k", state: "failed", ended: 1 })];
  assert.equal(statusOf(after(["announcement", cue("m", { key: "k", state: "making" })]), { key: "k" }), "making");
  assert.equal(statusOf(after(failed, ["announcement", cue("d", { key: "k", state: "done", ended: 2 })]), { key: "k" }), 2);
});

test("a phrase of a book has no key and is known by its text", () => {
  const state = after(["announcement", cue("w", { text: "Pause." })]);
  assert.deepEqual([statusOf(state, { text: "Pause." }), statusOf(state, { text: "Reprise." })], ["waiting", null]);
});

test("a job that goes on stays in its place, and a new one comes first", () => {
  const state = after(["job", { id: "a", made: 0 }], ["job", { id: "b", made: 0 }], ["job", { id: "a", made: 5 }]);
  assert.deepEqual(state.jobs, [{ id: "b", made: 0 }, { id: "a", made: 5 }]);
});
