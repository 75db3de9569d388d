"""How fast T3 generates at the start, against what is expected of the device.

A GPU that is in a low-power state, throttled or shared with another process works without an error, at a third of its
speed. GB10 machines have come up like that after a power cut, and stayed so until they were unplugged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

logger = logging.getLogger(__name__)

EXPECTED_TOKENS_PER_S = {
    "GB10": 160.0,
    "H100": 530.0,
    "H200": 550.0,
}
"""Tokens a second of one take in bf16, by a part of the device's name. Devices that are not listed are not judged.

An H100 was measured. The others are modelled: a GB10 by the bytes of a step over the memory's speed and two
microseconds for each small kernel; an H200 as an H100, where kernels bound a step and the memory hardly does."""
FAR_BELOW = 0.5
"""The share of the expected pace below which the log warns. The model may be wrong by a third, and the low-power state
costs two thirds."""
MIN_TOKENS = 8
"""A take of fewer tokens says nothing about the pace."""


class Generated(Protocol):
    """A take in T3."""

    tokens: list[int]


class WarmUpPace:
    """Measures the first take in T3 after the start, which is the warm-up's, without its prefill and without S3Gen."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._sequence: Generated | None = None
        self._first = self._last = (0.0, 0)
        self.done = False
        """Whether that take has left T3."""

    def note_step(self, running: Sequence[Generated]) -> float | None:
        """Take note of the sequences that T3 runs after a step. Returns tokens a second once the take has left T3."""
        sequence = next((each for each in running if self._sequence in (None, each)), None)
        if sequence is not None:
            self._last = self._clock(), len(sequence.tokens)
            if self._sequence is None:
                self._sequence, self._first = sequence, self._last
            return None
        if self._sequence is None:
            return None
        self.done = True
        seconds, tokens = (last - first for last, first in zip(self._last, self._first, strict=True))
        return tokens / seconds if tokens >= MIN_TOKENS and seconds > 0 else None


def expected_pace(device_name: str, precision: str) -> float | None:
    """Return the tokens a second that are expected of a device; None if nothing is known about it."""
    bf16 = next((pace for part, pace in EXPECTED_TOKENS_PER_S.items() if part in device_name), None)
    if bf16 is None:
        return None
    # A step is bound by reading the weights, and float32 is twice as many bytes.
    return bf16 / 2 if precision == "fp32" else bf16


def log_pace(tokens_per_s: float, device_name: str, precision: str) -> None:
    """Log the pace of the warm-up, and warn if it is far below what is expected."""
    logger.info("pace: T3 makes %.0f tokens a second of one take in %s; 25 are a second", tokens_per_s, precision)
    expected = expected_pace(device_name, precision)
    if expected is not None and tokens_per_s < FAR_BELOW * expected:
        logger.warning(
            "pace: about %.0f tokens a second are expected of %s. It may be in a low-power state, "
            "throttled or shared: see `nvidia-smi -q -d CLOCK,POWER,PERFORMANCE`, or run `monica accept`",
            expected, device_name,
        )  # fmt: skip
