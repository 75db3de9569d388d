import assert from "node:assert/strict";
import { test } from "node:test";

import { countdown, leftOf } from "../../monica/pages/static/level.mjs";

test("seconds are shown as a clock shows them", () => {
  assert.deepEqual([0, 0.2, 59, 60, 754, 3600, 3723, -5].map(countdown),
                   ["0:00", "0:01", "0:59", "1:00", "12:34", "1:00:00", "1:02:03", "0:00"]);
});

test("a running clock counts down, and a paused one stands", () => {
  const running = { clock: { state: "running", left_s: 10 }, levelEndsAt: 15_000 };
  assert.deepEqual([leftOf(running, 5000), leftOf(running, 99_000)], [10, 0]);
  assert.equal(leftOf({ clock: { state: "paused", left_s: 10 }, levelEndsAt: 15_000 }, 99_000), 10);
});
