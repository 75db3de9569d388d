"""T3's captured steps: which there are, and which one serves a step.

A captured step has a fixed number of slots, and either sorts the logits for top-p or does not. If attention reads each
row's length from the device, that is all. Otherwise it also has a fixed window of the cache, and is captured for many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from monica.engine.chatterbox.llama import POSITIONS
from monica.engine.chatterbox.slots import SLOTS
from monica.engine.torch.graphs import Graphs, Replay

WINDOWS = (128, 256, 384, 512, 640, 768, 896, 1024, 1536, 2048, POSITIONS)
"""Lengths of the cache that a captured step may cover, if attention cannot read each row's own length."""


class Step(NamedTuple):
    """What is fixed in a step, and is not read from a tensor."""

    slots: int
    """It computes the first this many."""
    window: int | None
    """Attention covers this many positions of each row. None: its own length."""
    top_p: bool
    """Whether the logits are sorted for top-p."""

    def __str__(self) -> str:
        window = "" if self.window is None else f", {self.window} positions"
        return f"T3, {self.slots} takes{window}{'' if self.top_p else ', no top-p'}"


class StepGraphs:
    """The captured steps of a T3.

    slots: how many the T3 has. by_length: whether attention reads each row's length from the device.
    """

    def __init__(self, graphs: Graphs | None, slots: int, *, by_length: bool) -> None:
        self._graphs, self._slots, self._by_length = graphs, slots, by_length
        self.replays: dict[Step, Replay] = {}

    def capture(self, forward: Callable[[Step], None]) -> None:
        """Capture every step, the largest first, because they share memory. `forward` runs one."""
        for step in self.steps():
            if self._graphs is None or not self._graphs.available:
                return

            def run(step: Step = step) -> None:
                forward(step)

            replay = self._graphs.capture(str(step), run)
            if replay is not run:  # refused; run eagerly, with a window of its own, it reads less
                self.replays[step] = replay

    def steps(self) -> list[Step]:
        """Return the steps that are to be captured: twelve for eight slots, or else sixty-six.

        With windows there are enough without those that skip the sort, so all of them sort.
        """
        windows: tuple[int | None, ...] = (None,) if self._by_length else WINDOWS
        sorts = (True, False) if self._by_length else (True,)
        counts = [count for count in SLOTS if count <= self._slots]
        return [Step(count, window, sort) for window in windows[::-1] for count in counts[::-1] for sort in sorts]

    def find(self, slots: int, longest: int, *, top_p: bool) -> Replay | None:
        """Return the replay for the first `slots` slots, of which none fills more than `longest` positions."""
        window = None if self._by_length else next(window for window in WINDOWS if window >= longest)
        return self.replays.get(Step(slots, window, top_p)) or self.replays.get(Step(slots, window, True))
