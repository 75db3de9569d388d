"""Perth's network and its Fourier transforms as matrix products, for CUDA.

cuDNN and cuFFT would make plans for each length of sound. Products need none, so they cost the same for any length, and
can be captured: a graph that uses a plan of cuFFT breaks when the plan leaves PyTorch's cache.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.torch.convolution import Convolution

LOUD_SHARE = 0.05
"""Perth marks frames whose levels add up to more than this share of the loudest frame's: not digital silence."""


class WatermarkProducts:
    """Marks sound at Perth's rate.

    network: Perth's, on its device. floor_db, span_db: the range of levels that it sees as 0 to 1.
    """

    def __init__(self, network: Any, floor_db: float, span_db: float) -> None:
        self._floor, self._span = floor_db, span_db
        self._subband: int = network.subband
        self._slope: float = network.encoder.layers[0].act.negative_slope
        self._layers = [
            Convolution(layer.conv, ahead=layer.conv.kernel_size[0] // 2) for layer in network.encoder.layers
        ]
        self._size, self._hop = network.hp.n_fft, network.hp.hop_size
        window: Tensor = network.ap.spectrogram.window
        bins, samples = torch.arange(self._size // 2 + 1), torch.arange(self._size)
        turns = (bins[:, None] * samples % self._size).double() / self._size  # whole numbers until here: exact
        shape = window.double().cpu()
        waves = torch.cat([(2 * math.pi * turns).cos(), -(2 * math.pi * turns).sin()])  # (2 bins, size)
        weight = torch.full((len(bins), 1), 2.0, dtype=torch.float64)
        weight[0] = weight[-1] = 1  # all other bins stand for two
        self._analysis = (waves * shape).t().contiguous().to(window)  # (size, 2 bins)
        self._synthesis = (waves * shape * weight.repeat(2, 1) / self._size).to(window)  # (2 bins, size)
        self._squares = shape.square().to(window)[None, :, None]

    def __call__(self, sound: Tensor) -> Tensor:
        """sound: (N,), N a multiple of the hop size. Returns (N,)."""
        padded = F.pad(sound[None], (self._size // 2, self._size // 2), mode="reflect")[0]
        frames = padded.unfold(0, self._size, self._hop)  # (T, size)
        parts = (frames @ self._analysis).view(len(frames), 2, -1)  # (T, 2, bins): real and imaginary
        magnitude = torch.hypot(*parts.unbind(1))
        level = (20 * magnitude.log10_() - self._floor).clamp_(0).div_(self._span)  # (T, bins)
        parts[..., : self._subband].mul_(self._gain(level)[:, None])
        return self._overlap_and_add(parts.flatten(1) @ self._synthesis)

    def _gain(self, level: Tensor) -> Tensor:
        """Return the factors that mark a sound, (T, subband)."""
        change = level[None, :, : self._subband]
        for number, layer in enumerate(self._layers):
            change = layer(change if number == 0 else F.leaky_relu(change, self._slope))
        total = level.sum(dim=1, keepdim=True)
        loud = total > LOUD_SHARE * total.max()
        return torch.pow(10, change[0] * loud * (self._span / 20))

    def _overlap_and_add(self, frames: Tensor) -> Tensor:
        """frames: (T, size). Returns ((T - 1) hop,)."""
        length = self._hop * (len(frames) - 1)

        def add(columns: Tensor) -> Tensor:
            size = (1, length + self._size)
            whole = F.fold(columns, size, (1, self._size), stride=(1, self._hop))[0, 0, 0]
            return whole[self._size // 2 : self._size // 2 + length]

        return add(frames.t()[None]) / add(self._squares.expand(1, self._size, len(frames)))
