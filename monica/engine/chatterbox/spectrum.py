"""The vocoder's short Fourier transforms, 16 samples long, as matrix products.

cuFFT would make a plan for each length of sound, and torch.istft waits for the device to look at its window. For 16
samples, the matrix of a transform is smaller than the bookkeeping.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

N_FFT, HOP = 16, 4
BINS = N_FFT // 2 + 1


class Spectrum:
    """torch.stft and torch.istft, centred, for one window. window: (16,), Hann's, whose squares add up to 1.5."""

    def __init__(self, window: Tensor) -> None:
        samples, bins = torch.arange(N_FFT, dtype=torch.float64), torch.arange(BINS, dtype=torch.float64)
        angle = 2 * math.pi * bins[:, None] * samples / N_FFT  # (9, 16)
        shape = window.double().cpu()
        self._analysis = (torch.cat([angle.cos(), -angle.sin()]) * shape).to(window)  # (18, 16)
        weight = torch.full((BINS, 1), 2.0, dtype=torch.float64)
        weight[0] = weight[-1] = 1  # all other bins stand for two
        squares = shape.square().view(-1, HOP)
        total = squares.sum(dim=0)  # (4,): what the squares of overlapping windows add up to
        inverse = torch.cat([angle.cos() * weight, -angle.sin() * weight]) * shape / total.repeat(N_FFT // HOP) / N_FFT
        self._synthesis = inverse.t().contiguous().to(window)  # (16, 18)
        # At either end one of the four windows that overlap elsewhere is missing.
        self._head = (total / (total - squares[3])).to(window)  # (4,)
        self._tail = (total / (total - squares[0])).to(window)

    def analyse(self, sound: Tensor) -> Tensor:
        """sound: (rows, 4 N). Returns the real parts, then the imaginary ones, (rows, 18, N + 1)."""
        padded = F.pad(sound[:, None], (N_FFT // 2, N_FFT // 2), mode="reflect")[:, 0]
        frames = padded.unfold(1, N_FFT, HOP).contiguous()  # (rows, N + 1, 16)
        return torch.bmm(self._analysis.expand(len(sound), -1, -1), frames.transpose(1, 2))

    def synthesize(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """magnitude, phase: (rows, 9, N + 1). Returns (rows, 4 N)."""
        rows, bins, count = magnitude.shape
        parts = magnitude.new_empty(rows, 2 * bins, count)
        torch.mul(magnitude, phase.cos(), out=parts[:, :bins])
        torch.mul(magnitude, phase.sin(), out=parts[:, bins:])
        frames = torch.bmm(self._synthesis.expand(rows, -1, -1), parts)  # (rows, 16, N + 1)
        length = HOP * (count - 1)
        sound = F.fold(frames, (1, length + N_FFT), (1, N_FFT), stride=(1, HOP))[:, 0, 0]
        sound = sound[:, N_FFT // 2 : N_FFT // 2 + length].contiguous()
        sound[:, :HOP].mul_(self._head)
        sound[:, -HOP:].mul_(self._tail)
        return sound
