"""HiFT, the vocoder, with upstream's weights: mel to pitch, pitch to a source of harmonics, both to samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
TILES = (32, 36, 40, 48, 64, 96, 128, 192, 256)
"""The lengths, in frames, at which the network runs on CUDA. cuDNN plans each convolution once per length, which takes
milliseconds, and keeps the plans in memory. Shorter sounds run at their own length: there are only a few of those."""


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
        self.captured: dict[tuple[str, int], CapturedFunction] = {}
        self._source = Source(hift.m_source)
        self._spectrum = Spectrum(hift.stft_window.to(hift.conv_pre.weight))
        self._source_resblocks = [Resblocks([block]) for block in hift.source_resblocks]
        blocks = [hift.resblocks[i : i + hift.num_kernels] for i in range(0, len(hift.resblocks), hift.num_kernels)]
        self._resblocks = [
            [Resblocks(stage)] if self._fused else [Resblocks([block]) for block in stage] for stage in blocks
        ]

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
        for frames in reversed(TILES):
            mel, source = like.new_zeros(1, like.size(1), frames), like.new_zeros(1, FRAME * frames)
            for name, function, inputs in (("pitch", self._predict_f0, [mel]), ("sound", self._vocode, [mel, source])):
                if self._fused and self._graphs is not None and self._graphs.available:
                    title = f"the {name} of {frames} frames"
                    self.captured[name, frames] = CapturedFunction(self._graphs, title, function, inputs)

    def predict_f0(self, mel: Tensor) -> Tensor:
        """Predict the pitch of each frame. mel: (1, 80, T). Returns (1, T), Hz."""
        if not self._fused:
            return self._predict_f0(mel)
        return self._in_tiles("pitch", mel.size(2), PITCH_REACH, 1, lambda start, stop: [mel[..., start:stop]])

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of a take's harmonics."""
        return self._source.draw_phase(generator)

    def make_source(self, f0: Tensor, phase: HarmonicPhase, generator: torch.Generator) -> Tensor:
        """Make the source of the next frames, and advance the phase. f0: (1, T), Hz. Returns (1, 480 T)."""
        return self._source(self._hift.f0_upsamp(f0[:, None]), phase, generator)

    def vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Filter a source by a mel. mel: (1, 80, T). source: (1, 480 T). Returns (1, 480 T)."""
        if not self._fused:
            return self._vocode(mel, source)

        def inputs(start: int, stop: int) -> list[Tensor]:
            return [mel[..., start:stop], source[:, start * FRAME : stop * FRAME]]

        return self._in_tiles("sound", mel.size(2), VOCODER_REACH, FRAME, inputs)

    def _in_tiles(
        self, name: str, length: int, reach: int, unit: int, inputs: Callable[[int, int], list[Tensor]]
    ) -> Tensor:
        """Run a part of the network over all frames, a tile at a time.

        unit: elements of its result for each frame. inputs: takes where a tile starts and stops.
        """
        eager = self._predict_f0 if name == "pitch" else self._vocode
        parts = []
        for start, stop, done, until in tile(length, reach):
            run: Callable[..., Tensor] = self.captured.get((name, stop - start), eager)
            made = run(*inputs(start, stop))
            parts.append(made[:, (done - start) * unit : (until - start) * unit])
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _predict_f0(self, mel: Tensor) -> Tensor:
        f0: Tensor = self._hift.f0_predictor(mel)
        return f0

    def _vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        hift = self._hift
        spectrum = self._spectrum.analyse(source)  # (1, 18, 120 T + 1)
        x = hift.conv_pre(mel)  # (1, 512, T)
        for i, up in enumerate(hift.ups):  # to (1, 256, 8 T), (1, 128, 40 T), (1, 64, 120 T + 1)
            x = up(F.leaky_relu(x, hift.lrelu_slope))
            if i == hift.num_upsamples - 1:
                x = hift.reflection_pad(x)
            x = x.add_(self._source_resblocks[i](hift.source_downs[i](spectrum)))
            first, *others = self._resblocks[i]
            total = first(x)
            for resblocks in others:
                total.add_(resblocks(x))
            x = total.div_(hift.num_kernels)
        x = hift.conv_post(F.leaky_relu(x))  # (1, 18, 120 T + 1)
        magnitude, phase = x.chunk(2, dim=1)  # (1, 9, 120 T + 1) each
        wave = self._spectrum.synthesize(magnitude.exp().clamp_(max=1e2), phase.sin())
        return wave.clamp_(-hift.audio_limit, hift.audio_limit)


class Resblocks:
    """The sum of upstream's ResBlocks of one input: three residual steps, with a snake before every convolution.

    Several of them run side by side in one tensor, so that only their convolutions are kernels of their own.
    """

    def __init__(self, blocks: Any) -> None:
        self._steps = []
        for step in range(len(blocks[0].convs1)):
            first = Snake([block.activations1[step] for block in blocks])
            second = FoldedSnake([block.activations2[step] for block in blocks])
            convs1 = [block.convs1[step] for block in blocks]
            convs2 = [block.convs2[step] for block in blocks]
            second.fold(convs1, convs2)
            self._steps.append((first, convs1, second, convs2))

    def __call__(self, x: Tensor) -> Tensor:
        """x: (1, C, T), not modified. Returns (1, C, T)."""
        for snake1, convs1, snake2, convs2 in self._steps:
            x = convolve(convs2, snake2(convolve(convs1, snake1(x)))).add_(x)  # (blocks, C, T)
        return x if x.size(0) == 1 else x.sum(dim=0, keepdim=True)


def convolve(convolutions: list[nn.Conv1d], x: Tensor) -> Tensor:
    """Apply a convolution to each row. x: (rows, C, T). Returns (rows, C, T)."""
    if len(convolutions) == 1:
        only: Tensor = convolutions[0](x)
        return only
    return torch.stack([convolution(row) for convolution, row in zip(convolutions, x.unbind(), strict=True)])


class Snake:
    """x + sin(a x)^2 / a, with one a per channel. Upstream's needs six tensors of the size of x, this one needs one."""

    def __init__(self, snakes: Any) -> None:
        self._alpha: Tensor = torch.stack([snake.alpha[:, None] for snake in snakes])  # (rows, C, 1)
        self._inverse = 1 / (self._alpha + snakes[0].no_div_by_zero)

    def __call__(self, x: Tensor) -> Tensor:
        """x: (rows, C, T), or (1, C, T) for all of them. Returns (rows, C, T)."""
        wave = (x * self._alpha).sin_().square_()
        return torch.addcmul(x, self._inverse, wave, out=wave)


class FoldedSnake:
    """A snake between two convolutions, which take over its multiplications: of its input by a, of its result by 1 / a.

    What is left is z + sin(z)^2, two kernels instead of four. A frequency of 0, where a snake does nothing, becomes one
    at which it does nothing that float32 could hold. Upstream divides by a + 1e-9, which is a in float32.
    """

    def __init__(self, snakes: Any) -> None:
        self._alphas: list[Tensor] = [
            torch.where(snake.alpha == 0, torch.full_like(snake.alpha, snake.no_div_by_zero), snake.alpha)
            for snake in snakes
        ]

    def fold(self, before: list[nn.Conv1d], after: list[nn.Conv1d]) -> None:
        """Change the weights of the convolutions before and after it."""
        for alpha, first, second in zip(self._alphas, before, after, strict=True):
            first.weight.data = first.weight.data * alpha[:, None, None]
            if first.bias is not None:
                first.bias.data = first.bias.data * alpha
            second.weight.data = second.weight.data / alpha[None, :, None]

    def __call__(self, z: Tensor) -> Tensor:
        wave = z.sin()
        return torch.addcmul(z, wave, wave, out=wave)


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

        voiced = (f0 > sines.voiced_threshold).float()  # (1, 1, L), float32 in any case, as upstream's
        loudness = voiced * sines.noise_std + (1 - voiced) * sines.sine_amp / 3
        noise = torch.randn(waves.shape, generator=generator, device=generator.device, dtype=dtype).to(device)
        waves = torch.addcmul(loudness * noise, waves, voiced.to(dtype))
        return torch.tanh(self._merge(waves.transpose(1, 2))).squeeze(2)
