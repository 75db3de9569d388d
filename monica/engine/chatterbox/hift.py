"""HiFT, the vocoder, with upstream's weights: mel to pitch, pitch to a source of harmonics, both to samples."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

N_FFT, HOP = 16, 4


class HiFT:
    """Upstream's HiFTGenerator, for inference.

    hift: upstream's, on its device. Its weight norms are folded into its weights for good.
    """

    def __init__(self, hift: Any) -> None:
        for module in hift.modules():
            if is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")
        self._hift = hift
        self._source = Source(hift.m_source)
        self._window = hift.stft_window.to(hift.conv_pre.weight)
        self._source_resblocks = [Resblock(block) for block in hift.source_resblocks]
        blocks = [Resblock(block) for block in hift.resblocks]
        self._resblocks = [blocks[i : i + hift.num_kernels] for i in range(0, len(blocks), hift.num_kernels)]

    def __call__(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """Turn a mel into sound. mel: (1, 80, T), 50 frames a second. Returns (1, 480 T) at 24 kHz."""
        return self.vocode(mel, self.make_source(self.predict_f0(mel), self.draw_phase(generator), generator))

    def predict_f0(self, mel: Tensor) -> Tensor:
        """Predict the pitch of each frame. mel: (1, 80, T). Returns (1, T), Hz."""
        f0: Tensor = self._hift.f0_predictor(mel)
        return f0

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of a take's harmonics."""
        return self._source.draw_phase(generator)

    def make_source(self, f0: Tensor, phase: HarmonicPhase, generator: torch.Generator) -> Tensor:
        """Make the source of the next frames, and advance the phase. f0: (1, T), Hz. Returns (1, 480 T)."""
        return self._source(self._hift.f0_upsamp(f0[:, None]), phase, generator)

    def vocode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Filter a source by a mel. mel: (1, 80, T). source: (1, 480 T). Returns (1, 480 T)."""
        hift, window = self._hift, self._window
        spectrum = torch.view_as_real(torch.stft(source, N_FFT, HOP, window=window, return_complex=True))
        spectrum = torch.cat([spectrum[..., 0], spectrum[..., 1]], dim=1)  # (1, 18, 120 T + 1)
        x = hift.conv_pre(mel)  # (1, 512, T)
        for i, up in enumerate(hift.ups):  # to (1, 256, 8 T), (1, 128, 40 T), (1, 64, 120 T + 1)
            x = up(F.leaky_relu(x, hift.lrelu_slope))
            if i == hift.num_upsamples - 1:
                x = hift.reflection_pad(x)
            x = x.add_(self._source_resblocks[i](hift.source_downs[i](spectrum)))
            first, *others = self._resblocks[i]
            total = first(x)
            for resblock in others:
                total.add_(resblock(x))
            x = total.div_(hift.num_kernels)
        x = hift.conv_post(F.leaky_relu(x))  # (1, 18, 120 T + 1)
        magnitude, phase = x.chunk(2, dim=1)
        magnitude, phase = magnitude.exp().clamp_(max=1e2), phase.sin()  # (1, 9, 120 T + 1)
        wave = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return torch.istft(wave, N_FFT, HOP, window=window).clamp_(-hift.audio_limit, hift.audio_limit)


class Resblock:
    """Upstream's ResBlock: three residual steps, with a snake before every convolution."""

    def __init__(self, block: Any) -> None:
        self._steps = list(
            zip(
                [Snake(snake) for snake in block.activations1],
                block.convs1,
                [Snake(snake) for snake in block.activations2],
                block.convs2,
                strict=True,
            )
        )

    def __call__(self, x: Tensor) -> Tensor:
        """x: (1, C, T), not modified. Returns (1, C, T)."""
        for snake1, convolution1, snake2, convolution2 in self._steps:
            x = convolution2(snake2(convolution1(snake1(x)))).add_(x)
        return x


class Snake:
    """x + sin(a x)^2 / a, with one a per channel. Upstream's needs six tensors of the size of x, this one needs one."""

    def __init__(self, snake: Any) -> None:
        self._alpha: Tensor = snake.alpha[:, None]  # (C, 1)
        self._inverse = 1 / (self._alpha + snake.no_div_by_zero)

    def __call__(self, x: Tensor) -> Tensor:
        wave = (x * self._alpha).sin_().square_()
        return torch.addcmul(x, self._inverse, wave, out=wave)


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
        waves = sines.sine_amp * torch.sin(2 * math.pi * cycles + phase.offset)

        voiced = (f0 > sines.voiced_threshold).float()  # (1, 1, L)
        loudness = voiced * sines.noise_std + (1 - voiced) * sines.sine_amp / 3
        noise = torch.randn(waves.shape, generator=generator, device=generator.device, dtype=dtype).to(device)
        waves = waves * voiced + loudness * noise
        return torch.tanh(self._merge(waves.transpose(1, 2))).squeeze(2)
