"""Makes speech faster or slower at the same pitch: ffmpeg's atempo, which overlaps and adds similar windows (WSOLA).

Source: https://ffmpeg.org/ffmpeg-filters.html#atempo. PyAV is imported only when there is something to stretch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.filter import Graph

SLOWEST, FASTEST = 0.25, 4.0
TAIL_S = 0.015
"""Length added to a stretched sound. Its end may come up to 12 ms later than computed, as atempo shifts windows to
align them."""
_RUN_OUT_S = 0.25
"""Length of the silence appended to the input. atempo swallows its last window of up to 43 ms, and there may be two
filters in a row."""


def stretch(samples: NDArray[np.float32], rate: int, speed: float) -> NDArray[np.float32]:
    """Stretch (N,) mono samples to (N / speed + TAIL_S * rate,). Return the same array if the speed is 1.

    Raises ValueError if the speed is not between SLOWEST and FASTEST.
    """
    stretcher = Stretcher(rate, speed)
    return samples if speed == 1 else np.concatenate([stretcher.stretch_chunk(samples), stretcher.stretch_end()])


class Stretcher:
    """Stretches a sound chunk by chunk: to the same length as `stretch`, as well aligned, but not to the same samples.

    It holds back a few hundredths of a second of sound at high speeds, and up to half a second at the lowest. Raises
    ValueError if the speed is not between SLOWEST and FASTEST.
    """

    def __init__(self, rate: int, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"The speed must be between {SLOWEST:g} and {FASTEST:g}.")
        self._rate = rate
        self._speed = speed
        self._graph = None if speed == 1 else _graph(rate, speed)
        self._received = self._returned = 0

    def stretch_chunk(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take (N,) more samples. Return those that are ready, possibly none."""
        self._received += len(samples)
        stretched = self._push_samples(samples)
        self._returned += len(stretched)
        return stretched

    def stretch_end(self) -> NDArray[np.float32]:
        """Return the remaining samples. No chunk may follow."""
        if self._graph is None or self._received == 0:
            return np.empty(0, np.float32)
        expected = round(self._received / self._speed + TAIL_S * self._rate)
        silence = np.zeros(math.ceil(_RUN_OUT_S * self._rate * max(1.0, self._speed)), np.float32)
        rest = [self._push_samples(silence)]
        self._graph.push(None)
        rest.append(_pull_samples(self._graph))
        return np.concatenate(rest)[: max(0, expected - self._returned)]

    def _push_samples(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._graph is None or len(samples) == 0:
            return samples
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        self._graph.push(frame)
        return _pull_samples(self._graph)


def _graph(rate: int, speed: float) -> Graph:
    from av.filter import Graph

    # Beyond twice the speed atempo skips samples instead of blending them, and it does not go below half the speed.
    # The ffmpeg documentation recommends several filters in a row.
    count = max(1, math.ceil(abs(math.log2(speed))))
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")
    filters = [graph.add("atempo", f"{speed ** (1 / count):.9f}") for _ in range(count)]
    graph.link_nodes(source, *filters, graph.add("abuffersink")).configure()
    return graph


def _pull_samples(graph: Graph) -> NDArray[np.float32]:
    from av import BlockingIOError, EOFError

    ready = [np.empty(0, np.float32)]
    while True:
        try:
            ready.append(graph.pull().to_ndarray()[0])
        except (BlockingIOError, EOFError):  # nothing more for now, or ever
            return np.concatenate(ready)
