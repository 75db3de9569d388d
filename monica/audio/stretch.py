"""Faster or slower speech at the same pitch: ffmpeg's atempo, which overlaps and adds what is alike (WSOLA).

Source: https://ffmpeg.org/ffmpeg-filters.html#atempo. PyAV is imported where something is stretched.
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
"""How much later than computed the end of a sound may come: atempo aligns by up to 12 ms. So much is added."""
_RUN_OUT_S = 0.25
"""Of silence behind the input: atempo swallows the last of its windows, 43 ms or less each, two filters in a row."""


def stretch(samples: NDArray[np.float32], rate: int, speed: float) -> NDArray[np.float32]:
    """Return (N,) mono samples as (N / speed + TAIL_S * rate,); the same array where the speed is 1.

    Raises ValueError where the speed is not between SLOWEST and FASTEST.
    """
    stretcher = Stretcher(rate, speed)
    return samples if speed == 1 else np.concatenate([stretcher.feed(samples), stretcher.finish()])


class Stretcher:
    """Stretches a sound chunk by chunk: as long as `stretch` makes it, and aligned as well, if not always the same.

    It holds back a few hundredths of a second of sound at high speeds, and up to half a second at the lowest.
    """

    def __init__(self, rate: int, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"The speed must be between {SLOWEST:g} and {FASTEST:g}.")
        self._rate = rate
        self._speed = speed
        self._graph = None if speed == 1 else _graph(rate, speed)
        self._fed = self._returned = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in (N,) samples; return those that are ready, which may be none."""
        self._fed += len(samples)
        stretched = self._push(samples)
        self._returned += len(stretched)
        return stretched

    def finish(self) -> NDArray[np.float32]:
        """Return the rest."""
        if self._graph is None or self._fed == 0:
            return np.empty(0, np.float32)
        expected = round(self._fed / self._speed + TAIL_S * self._rate)
        silence = np.zeros(math.ceil(_RUN_OUT_S * self._rate * max(1.0, self._speed)), np.float32)
        rest = [self._push(silence)]
        self._graph.push(None)
        rest.append(_pull(self._graph))
        return np.concatenate(rest)[: max(0, expected - self._returned)]

    def _push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._graph is None or len(samples) == 0:
            return samples
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        self._graph.push(frame)
        return _pull(self._graph)


def _graph(rate: int, speed: float) -> Graph:
    from av.filter import Graph

    # Beyond twice as fast atempo skips samples instead of blending them, and slower than half it does not go: the
    # ffmpeg documentation's advice is several in a row.
    count = max(1, math.ceil(abs(math.log2(speed))))
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")
    filters = [graph.add("atempo", f"{speed ** (1 / count):.9f}") for _ in range(count)]
    graph.link_nodes(source, *filters, graph.add("abuffersink")).configure()
    return graph


def _pull(graph: Graph) -> NDArray[np.float32]:
    from av import BlockingIOError, EOFError

    ready = [np.empty(0, np.float32)]
    while True:
        try:
            ready.append(graph.pull().to_ndarray()[0])
        except (BlockingIOError, EOFError):  # none for now; none ever
            return np.concatenate(ready)
