"""HiFT, the vocoder, with upstream's weights: mel to pitch, pitch to a source of harmonics, both to samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from monica.engine.chatterbox.spectrum import Spectrum
from monica.engine.torch.captured import CapturedFunction
from monica.engine.torch.graphs import Graphs

FRAME = 480
"""Samples of a frame."""
PITCH_REACH, VOCODER_REACH = 5, 15
"""How many frames to either side a frame of pitch or of sound depends on. Tests show that frames farther away change
nothing."""
TILES = (32, 48, 64, 96, 128, 192, 256)
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

    size = min(sizes, key=lambda size: (size * count(size), count(size)))
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
        self._source = Source(hift.m_source)
        self._spectrum = Spectrum(hift.stft_window.to(hift.conv_pre.weight))
        self._source_resblocks = [Resblocks([block]) for block in hift.source_resblocks]
        self._resblocks = []
        for stage in range(hift.num_upsamples):
            blocks = list(hift.resblocks[stage * hift.num_kernels : (stage + 1) * hift.num_kernels])
            groups = [blocks] if self._fused else [[block] for block in blocks]
            self._resblocks.append([Resblocks(group, scale=1 / hift.num_kernels) for group in groups])

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
            for name, function, inputs in (("pitch", self._predict_f0, [mel]), ("sound", self._vocode, [mel, source])):
                if self._fused and self._graphs is not None and self._graphs.available:
                    title = f"the {name} of {'' if rows == 1 else f'{rows} times '}{frames} frames"
                    self.captured[name, frames, rows] = CapturedFunction(self._graphs, title, function, inputs)

    def predict_f0(self, mel: Tensor) -> Tensor:
        """Predict the pitch of each frame. mel: (1, 80, T). Returns (1, T), Hz."""
        if not self._fused:
            return self._predict_f0(mel)
        return self._in_tiles("pitch", PITCH_REACH, [(mel, 1)], 1)

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of a take's harmonics."""
        return self._source.draw_phase(generator)

    def make_source(self, f0: Tensor, phase: HarmonicPhase, generator: torch.Generator) -> Tensor:
        """Make the source of the next frames, and advance the phase. f0: (1, T), Hz. Returns (1, 480 T)."""
        return self._source(f0[:, None].repeat_interleave(FRAME, dim=2), phase, generator)

    def vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Filter a source by a mel. mel: (1, 80, T). source: (1, 480 T). Returns (1, 480 T)."""
        if not self._fused:
            return self._vocode(mel, source)
        return self._in_tiles("sound", VOCODER_REACH, [(mel, 1), (source, FRAME)], FRAME)

    def _in_tiles(self, name: str, reach: int, inputs: Sequence[tuple[Tensor, int]], unit: int) -> Tensor:
        """Run a part of the network over all frames, as many tiles at a time as have been captured side by side.

        inputs: each (1, ..., T) with the number of its elements for a frame. unit: that of the result.
        """
        tiles = list(tile(inputs[0][0].size(-1), reach))
        frames = tiles[0][1] - tiles[0][0]
        # Without a graph, more rows would be more plans for cuDNN.
        rows = ROWS if (name, frames, ROWS) in self.captured else 1
        eager = self._predict_f0 if name == "pitch" else self._vocode
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

    def _predict_f0(self, mel: Tensor) -> Tensor:
        f0: Tensor = self._hift.f0_predictor(mel)
        return f0

    def _vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        """mel: (rows, 80, T). source: (rows, 480 T). Returns (rows, 480 T)."""
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


class Resblocks:
    """The sum of upstream's ResBlocks of one input, times a scale: three residual steps, two snakes in each.

    A snake is x + sin(a x)^2 / a, with one a per channel. Its multiplications are folded into what surrounds it, so that
    z + sin(z)^2 is left, two kernels instead of five. The convolution after a snake takes 1 / a. Before the second snake
    of a step, a convolution takes a. Before the first there is the sum of a step, so the residual is kept times the a of
    the snake that comes next.

    Several blocks run side by side: a `_foreach` operation is one kernel for all of them. Their convolutions differ in
    size, and one padded to the largest would compute half as much again, which takes longer than its launches save.
    """

    def __init__(self, blocks: Sequence[Any], scale: float = 1.0) -> None:
        self._first = torch.stack([frequency(block.activations1[0])[:, None] for block in blocks])[:, None]
        self._steps: list[list[ResidualStep]] = []
        for step in range(len(blocks[0].convs1)):
            self._steps.append([ResidualStep(block, step, scale) for block in blocks])

    def __call__(self, x: Tensor) -> Tensor:
        """x: (rows, C, T), not modified. Returns (rows, C, T)."""
        blocks = x * self._first  # (blocks, rows, C, T)
        residuals = blocks.unbind()
        for steps in self._steps:
            inner = [step.conv1(each) for step, each in zip(steps, snake(residuals), strict=True)]
            outer = [step.conv2(each) for step, each in zip(steps, snake(inner), strict=True)]
            for step, residual, each in zip(steps, residuals, outer, strict=True):
                torch.addcmul(each, residual, step.ratio, out=residual)
        return residuals[0] if len(residuals) == 1 else blocks.sum(dim=0)


class ResidualStep:
    """The convolutions of one of a ResBlock's steps, with the snakes' multiplications folded into them for good.

    scale: of the last step's result.
    """

    def __init__(self, block: Any, step: int, scale: float) -> None:
        first, second = frequency(block.activations1[step]), frequency(block.activations2[step])
        last = step == len(block.convs1) - 1
        following = torch.full_like(first, scale) if last else frequency(block.activations1[step + 1])
        self.conv1 = fold(block.convs1[step], first, second)
        self.conv2 = fold(block.convs2[step], second, following)
        self.ratio = (following / first)[:, None]  # (C, 1), of the residual to come to the residual so far


def frequency(snake: Any) -> Tensor:
    """Return a snake's frequencies, (C,).

    At 0 a snake does nothing. Instead, it gets one at which it does nothing that float32 could hold. Upstream divides by
    a + 1e-9, which is a in float32.
    """
    alpha: Tensor = snake.alpha
    return torch.where(alpha == 0, torch.full_like(alpha, snake.no_div_by_zero), alpha)


def fold(convolution: nn.Conv1d, before: Tensor, after: Tensor) -> nn.Conv1d:
    """Let a convolution take an input that is `before` times its own, and return `after` times its result. (C,) each."""
    convolution.weight.data = convolution.weight.data * (after[:, None, None] / before[:, None])
    if convolution.bias is not None:
        convolution.bias.data = convolution.bias.data * after
    return convolution


def snake(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return z + sin(z)^2 of each."""
    waves = torch._foreach_sin(tensors)
    return torch._foreach_addcmul(tensors, waves, waves)


class HarmonicPhase:
    """The phase of the harmonics, carried from one part of a take to the next."""

    def __init__(self, offset: Tensor) -> None:
        self.offset = offset
        """(1, 9, 1): the initial phase, radians."""
        self.cycles = torch.zeros_like(offset)
        """(1, 9, 1): the cycles since then, modulo 1."""


class Source:
    """Upstream's SourceModuleHnNSF: the pitch and eight harmonics in voiced frames, and noise.

    It draws what upstream draws, in the same order, from the take's generator.
    """

    def __init__(self, source: Any) -> None:
        self._sines, self._merge = source.l_sin_gen, source.l_linear
        weight: Tensor = self._merge.weight
        count = self._sines.harmonic_num + 1
        self._multiples = torch.arange(1, count + 1, device=weight.device, dtype=weight.dtype)[:, None]
        loudness = torch.tensor([self._sines.noise_std, self._sines.sine_amp / 3], dtype=torch.float32)  # as upstream's
        self._voiced_noise, self._unvoiced_noise = loudness.to(weight.device)

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of the harmonics; the fundamental's is 0."""
        multiples = self._multiples
        drawn = torch.rand(1, len(multiples), 1, generator=generator, device=generator.device, dtype=multiples.dtype)
        offset = -math.pi + drawn.to(multiples.device) * (2 * math.pi)
        offset[:, 0] = 0
        return HarmonicPhase(offset)

    def __call__(self, f0: Tensor, phase: HarmonicPhase, generator: torch.Generator) -> Tensor:
        """f0: (1, 1, L), Hz, one a sample. Advances the phase. Returns (1, L)."""
        sines, dtype, device = self._sines, f0.dtype, f0.device

        cycles = (phase.cycles + torch.cumsum(f0 * self._multiples / sines.sampling_rate, dim=2)) % 1  # (1, 9, L)
        phase.cycles = cycles[..., -1:]
        waves = torch.add(phase.offset, cycles, alpha=2 * math.pi).sin_().mul_(sines.sine_amp)

        voiced = f0 > sines.voiced_threshold  # (1, 1, L)
        loudness = torch.where(voiced, self._voiced_noise, self._unvoiced_noise)
        noise = torch.randn(waves.shape, generator=generator, device=generator.device, dtype=dtype).to(device)
        waves = torch.addcmul(loudness * noise, waves, voiced.to(dtype))
        return torch.addmm(self._merge.bias, self._merge.weight, waves[0]).tanh_()
