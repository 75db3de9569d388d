"""The source that the vocoder filters: the pitch with its harmonics, and noise."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FRAME = 480
"""Samples of a frame."""


class HarmonicPhase:
    """The phase of the harmonics, carried from one part of a take to the next."""

    def __init__(self, offset: Tensor, cycles: Tensor | None = None) -> None:
        self.offset = offset
        """(1, 9, 1): the initial phase, radians."""
        self.cycles = torch.zeros_like(offset) if cycles is None else cycles
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

    @property
    def harmonics(self) -> int:
        """How many there are, the fundamental included."""
        return len(self._multiples)

    def draw_phase(self, generator: torch.Generator) -> HarmonicPhase:
        """Draw the initial phase of the harmonics; the fundamental's is 0."""
        multiples = self._multiples
        drawn = torch.rand(1, len(multiples), 1, generator=generator, device=generator.device, dtype=multiples.dtype)
        offset = -math.pi + drawn.to(multiples.device) * (2 * math.pi)
        offset[:, 0] = 0
        return HarmonicPhase(offset)

    def draw_noise(self, frames: int, generator: torch.Generator) -> Tensor:
        """Draw the noise of the next frames. Returns (1, 9, 480 T)."""
        shape, like = (1, len(self._multiples), FRAME * frames), self._multiples
        return torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)

    def __call__(self, f0: Tensor, phase: HarmonicPhase, noise: Tensor) -> Tensor:
        """f0: (1, T), Hz. noise: (1, 9, 480 T), of `draw_noise`. Advances the phase. Returns (1, 480 T)."""
        sines, f0 = self._sines, f0[:, None].repeat_interleave(FRAME, dim=2)  # (1, 1, 480 T)

        cycles = (phase.cycles + torch.cumsum(f0 * self._multiples / sines.sampling_rate, dim=2)) % 1  # (1, 9, 480 T)
        phase.cycles = cycles[..., -1:]
        waves = torch.add(phase.offset, cycles, alpha=2 * math.pi).sin_().mul_(sines.sine_amp)

        voiced = f0 > sines.voiced_threshold  # (1, 1, 480 T)
        loudness = torch.where(voiced, self._voiced_noise, self._unvoiced_noise)
        waves = torch.addcmul(loudness * noise, waves, voiced.to(waves.dtype))
        return torch.addmm(self._merge.bias, self._merge.weight, waves[0]).tanh_()
