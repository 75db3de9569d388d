"""HiFT, the vocoder, with upstream's weights: mel to pitch, pitch to a source of harmonics, both to samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from monica.engine.chatterbox.harmonic_source import FRAME, HarmonicPhase, Source
from monica.engine.chatterbox.resblocks import Resblocks
from monica.engine.chatterbox.spectrum import Spectrum
from monica.engine.torch.captured import CapturedFunction
from monica.engine.torch.graphs import Graphs

PITCH_REACH, VOCODER_REACH = 5, 15
"""How many frames to either side a frame of pitch or of sound depends on. Tests show that frames farther away change
nothing."""
TILES = (32, 36, 40, 48, 64, 96, 128, 192, 256)
"""The lengths, in frames, at which the network runs on CUDA. cuDNN plans each convolution once per length, which takes
milliseconds, and keeps the plans in memory. Shorter sounds run at their own length: there are only a few of those."""
ROWS = 2
"""How many tiles run side by side, as the rows of a batch: a take of up to 9.6 s is done in one pass."""


def tile(length: int, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """Cover a length with parts of one of TILES, which overlap by twice the reach.

    Yields where a part starts and stops, and from where to where its result counts. At either end of the whole a part
    ends there, too: what the network pads with zeros there, it pads with zeros in the whole.
    """
    sizes = [size for size in TILES if size <= length]
    if not sizes:
        yield 0, length, 0, length
        return

    def count(size: int) -> int:
        return max(1, -(-(length - 2 * reach) // (size - 2 * reach)))

    # The fewest passes, each of which launches the whole network; then the fewest frames.
    size = min(sizes, key=lambda size: (-(-count(size) // ROWS), size * count(size)))
    done = 0
    for number in range(count(size)):
        start = min(number * (size - 2 * reach), length - size)
        last = number == count(size) - 1
        until = length if last else start + size - reach
        yield start, start + size, done, until
        done = until


class HiFT:
    """Upstream's HiFTGenerator, for inference.

    hift: upstream's, on its device. Its weight norms and its snakes' frequencies are folded into its weights for good:
    afterwards upstream's own path from mel to sound no longer works.
    fused: whether to have fewer, larger kernels, and only a few lengths. None: on CUDA, where each launch costs, and
    each new length.
    graphs: captures the network at each of the lengths.
    """

    def __init__(self, hift: Any, *, fused: bool | None = None, graphs: Graphs | None = None) -> None:
        for module in hift.modules():
            if is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")
        self._hift = hift
        self._fused = hift.conv_pre.weight.is_cuda if fused is None else fused
        self._graphs = graphs
        self.captured: dict[tuple[str, int, int], CapturedFunction] = {}
        """By what it makes (pitch or sound), frames of a tile, and number of tiles."""
        self.source = Source(hift.m_source)
        self._spectrum = Spectrum(hift.stft_window.to(hift.conv_pre.weight))
        self._source_resblocks = [Resblocks([block]) for block in hift.source_resblocks]
        self._resblocks = []
        for stage in range(hift.num_upsamples):
            blocks = list(hift.resblocks[stage * hift.num_kernels : (stage + 1) * hift.num_kernels])
            groups = [blocks] if self._fused else [[block] for block in blocks]
            self._resblocks.append([Resblocks(group, scale=1 / hift.num_kernels) for group in groups])

    @property
    def channels(self) -> int:
        """How many values a frame of the mel has."""
        return int(self._hift.conv_pre.in_channels)

    @property
    def tiles(self) -> tuple[int, ...]:
        """The lengths that it runs at, in frames. Empty if it runs at any length."""
        return TILES if self._fused else ()

    def __call__(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """Turn a mel into sound. mel: (1, 80, T), 50 frames a second. Returns (1, 480 T) at 24 kHz."""
        return self.vocode(mel, self.make_source(self.predict_f0(mel), self.draw_phase(generator), generator))

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture the network at each length, the largest first: the others then fit into its memory."""
        like = self._hift.conv_pre.weight
        for frames, rows in product(reversed(TILES), (ROWS, 1)):
            mel, source = like.new_zeros(rows, like.size(1), frames), like.new_zeros(rows, FRAME * frames)
            for name, function, inputs in (
                ("pitch", self.predict_f0_of_tiles, [mel]),
                ("sound", self.vocode_tiles, [mel, source]),
            ):
                if self._fused and self._graphs is not None and self._graphs.available:
                    title = f"the {name} of {'' if rows == 1 else f'{rows} times '}{frames} frames"
                    self.captured[name, frames, rows] = CapturedFunction(self._graphs, title, function, inputs)

    def predict_f0(self, mel: Tensor) -> Tensor:
        """Predict the pitch of each frame. mel: (1, 80, T). Returns (1, T), Hz."""
        if not self._fused:
            return self.predict_f0_of_tiles(mel)
        return self._in_tiles("pitch", PITCH_REACH, [(mel, 1)], 1)

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of a take's harmonics."""
        return self.source.draw_phase(generator)

    def make_source(self, f0: Tensor, phase: HarmonicPhase, generator: torch.Generator) -> Tensor:
        """Make the source of the next frames, and advance the phase. f0: (1, T), Hz. Returns (1, 480 T)."""
        return self.source(f0, phase, self.source.draw_noise(f0.size(1), generator))

    def vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Filter a source by a mel. mel: (1, 80, T). source: (1, 480 T). Returns (1, 480 T)."""
        if not self._fused:
            return self.vocode_tiles(mel, source)
        return self._in_tiles("sound", VOCODER_REACH, [(mel, 1), (source, FRAME)], FRAME)

    def _in_tiles(self, name: str, reach: int, inputs: Sequence[tuple[Tensor, int]], unit: int) -> Tensor:
        """Run a part of the network over all frames, as many tiles at a time as have been captured side by side.

        inputs: each (1, ..., T) with the number of its elements for a frame. unit: that of the result.
        """
        tiles = list(tile(inputs[0][0].size(-1), reach))
        frames = tiles[0][1] - tiles[0][0]
        # Without a graph, more rows would be more plans for cuDNN.
        rows = ROWS if (name, frames, ROWS) in self.captured else 1
        eager = self.predict_f0_of_tiles if name == "pitch" else self.vocode_tiles
        parts = []
        for first in range(0, len(tiles), rows):
            together = tiles[first : first + rows]
            run = self.captured.get((name, frames, len(together)), eager)
            made = run(
                *(
                    torch.cat([whole[..., start * each : stop * each] for start, stop, _, _ in together])
                    for whole, each in inputs
                )
            )
            parts += [
                made[row : row + 1, (done - start) * unit : (until - start) * unit]
                for row, (start, _, done, until) in enumerate(together)
            ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def predict_f0_of_tiles(self, mel: Tensor) -> Tensor:
        """Predict the pitch of each row by itself. mel: (rows, 80, T). Returns (rows, T), Hz."""
        f0: Tensor = self._hift.f0_predictor(mel)
        return f0

    def vocode_tiles(self, mel: Tensor, source: Tensor) -> Tensor:
        """Filter each row by itself. mel: (rows, 80, T). source: (rows, 480 T). Returns (rows, 480 T)."""
        hift = self._hift
        spectrum = self._spectrum.analyse(source)  # (rows, 18, 120 T + 1)
        x = hift.conv_pre(mel)  # (rows, 512, T)
        for i, up in enumerate(hift.ups):  # to (rows, 256, 8 T), (rows, 128, 40 T), (rows, 64, 120 T + 1)
            x = up(F.leaky_relu(x, hift.lrelu_slope))
            if i == hift.num_upsamples - 1:
                x = hift.reflection_pad(x)
            x = x.add_(self._source_resblocks[i](hift.source_downs[i](spectrum)))
            first, *others = self._resblocks[i]
            total = first(x)
            for resblocks in others:
                total.add_(resblocks(x))
            x = total
        x = hift.conv_post(F.leaky_relu(x))  # (rows, 18, 120 T + 1)
        magnitude, phase = x.chunk(2, dim=1)  # (rows, 9, 120 T + 1) each
        wave = self._spectrum.synthesize(magnitude.exp().clamp_(max=1e2), phase.sin())
        return wave.clamp_(-hift.audio_limit, hift.audio_limit)
