"""HiFT, the vocoder, by upstream's weights: mel to pitch, pitch to a source of harmonics, both to samples."""

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

    hift: upstream's, on its device. Its weight norms are folded into its weights, here and for good.
    """

    def __init__(self, hift: Any) -> None:
        for module in hift.modules():
            if is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")
        self._hift = hift
        self._source = Source(hift.m_source)
        self._window = hift.stft_window.to(hift.conv_pre.weight)
        self._shared = [Resblock(block) for block in hift.source_resblocks]
        blocks = [Resblock(block) for block in hift.resblocks]
        self._resblocks = [blocks[i : i + hift.num_kernels] for i in range(0, len(blocks), hift.num_kernels)]

    def __call__(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """Sound a mel. mel: (1, 80, T), 50 a second. Returns (1, 480 T) at 24 kHz."""
        return self.decode(mel, self.source(self.pitch(mel), self.start(generator), generator))

    def pitch(self, mel: Tensor) -> Tensor:
        """Find the pitch of each frame. mel: (1, 80, T). Returns (1, T), Hz."""
        f0: Tensor = self._hift.f0_predictor(mel)
        return f0

    def start(self, generator: torch.Generator) -> Phase:
        """Draw where the harmonics of a take begin."""
        return self._source.start(generator)

    def source(self, f0: Tensor, phase: Phase, generator: torch.Generator) -> Tensor:
        """Make the source of frames, moving the phase on. f0: (1, T), Hz. Returns (1, 480 T)."""
        return self._source(self._hift.f0_upsamp(f0[:, None]), phase, generator)

    def decode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Shape a source by a mel. mel: (1, 80, T). source: (1, 480 T). Returns (1, 480 T)."""
        hift, window = self._hift, self._window
        spectrum = torch.view_as_real(torch.stft(source, N_FFT, HOP, window=window, return_complex=True))
        spectrum = torch.cat([spectrum[..., 0], spectrum[..., 1]], dim=1)  # (1, 18, 120 T + 1)
        x = hift.conv_pre(mel)  # (1, 512, T)
        for i, up in enumerate(hift.ups):  # to (1, 256, 8 T), (1, 128, 40 T), (1, 64, 120 T + 1)
            x = up(F.leaky_relu(x, hift.lrelu_slope))
            if i == hift.num_upsamples - 1:
                x = hift.reflection_pad(x)
            x = x.add_(self._shared[i](hift.source_downs[i](spectrum)))
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
    """Upstream's ResBlock: three times around, a snake before every convolution."""

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
        """x: (1, C, T), kept. Returns (1, C, T)."""
        for snake1, convolution1, snake2, convolution2 in self._steps:
            x = convolution2(snake2(convolution1(snake1(x)))).add_(x)
        return x


class Snake:
    """x + sin(a x)^2 / a, with an a for each channel; upstream's takes six tensors of the size of x, this takes one."""

    def __init__(self, snake: Any) -> None:
        self._alpha: Tensor = snake.alpha[:, None]  # (C, 1)
        self._inverse = 1 / (self._alpha + snake.no_div_by_zero)

    def __call__(self, x: Tensor) -> Tensor:
        wave = (x * self._alpha).sin_().square_()
        return torch.addcmul(x, self._inverse, wave, out=wave)


class Phase:
    """Where the harmonics are. offset: (1, 9, 1), their beginning, radians. cycles: (1, 9, 1), those since, below 1."""

    def __init__(self, offset: Tensor) -> None:
        self.offset = offset
        self.cycles = torch.zeros_like(offset)


class Source:
    """Upstream's SourceModuleHnNSF: eight harmonics over the pitch where there is one, and noise.

    Upstream's draws, in upstream's order, are from the take's generator.
    """

    def __init__(self, source: Any) -> None:
        self._sines, self._merge = source.l_sin_gen, source.l_linear
        weight: Tensor = self._merge.weight
        self._times = torch.arange(1, self._sines.harmonic_num + 2, device=weight.device, dtype=weight.dtype)[:, None]

    def start(self, generator: torch.Generator) -> Phase:
        """Draw where the harmonics begin; the fundamental does so at 0."""
        times = self._times
        drawn = torch.rand(1, len(times), 1, generator=generator, device=generator.device, dtype=times.dtype)
        offset = -math.pi + drawn.to(times.device) * (2 * math.pi)
        offset[:, 0] = 0
        return Phase(offset)

    def __call__(self, f0: Tensor, phase: Phase, generator: torch.Generator) -> Tensor:
        """f0: (1, 1, L), Hz, one a sample. Moves the phase on. Returns (1, L)."""
        sines, dtype, device = self._sines, f0.dtype, f0.device

        cycles = (phase.cycles + torch.cumsum(f0 * self._times / sines.sampling_rate, dim=2)) % 1  # (1, 9, L)
        phase.cycles = cycles[..., -1:]
        waves = sines.sine_amp * torch.sin(2 * math.pi * cycles + phase.offset)

        voiced = (f0 > sines.voiced_threshold).float()  # (1, 1, L)
        loudness = voiced * sines.noise_std + (1 - voiced) * sines.sine_amp / 3
        noise = torch.randn(waves.shape, generator=generator, device=generator.device, dtype=dtype).to(device)
        waves = waves * voiced + loudness * noise
        return torch.tanh(self._merge(waves.transpose(1, 2))).squeeze(2)
