"""soxr's resampling on any device. It is librosa's default, which Perth uses; soxr itself runs on the CPU only."""

from __future__ import annotations

import math

import numpy as np
import soxr
import torch
from torch import Tensor

REACH = 100
"""How far soxr's HQ filter reaches to either side, in samples of the lower rate, between 24 and 32 kHz. Beyond that, an
impulse of 1 leaves only soxr's own rounding, a few 1e-8."""


class Resampler:
    """librosa.resample between two rates, within rounding.

    soxr's filter is linear, and periodic in the ratio of the rates. So a block of resampled sound is a matrix times
    three blocks of sound, the block itself and one on either side, if a block is as long as the filter reaches. The
    matrix is soxr's response to an impulse at each place of a block.
    """

    def __init__(self, orig_sr: int, target_sr: int, device: torch.device | str = "cpu") -> None:
        divisor = math.gcd(orig_sr, target_sr)
        periods = math.ceil(REACH * divisor / min(orig_sr, target_sr))
        self._orig, self._target = (periods * rate // divisor for rate in (orig_sr, target_sr))
        impulses = np.zeros((self._orig, 4, self._orig), np.float32)  # the fourth block separates them
        impulses[:, 1] = np.eye(self._orig)
        responses = soxr.resample(impulses.reshape(-1), orig_sr, target_sr, quality="HQ")
        # The responses in the next block, the same and the previous one. For the responding block, the impulse is in
        # the sound before it, in its own sound and in the sound after it.
        matrix = responses.reshape(self._orig, 4, self._target)[:, [2, 1, 0]].transpose(1, 0, 2)
        self._matrix = torch.from_numpy(matrix.reshape(3 * self._orig, self._target)).to(device)

    def __call__(self, samples: Tensor) -> Tensor:
        """Resample sound. samples: (N,) float32 on the device, N at least 1.

        Returns (ceil(N target_sr / orig_sr),). If soxr rounds that down, librosa's last sample is a zero.
        """
        blocks = -(-len(samples) // self._orig)
        padded = torch.nn.functional.pad(samples, (self._orig, (blocks + 1) * self._orig - len(samples)))
        resampled = padded.unfold(0, 3 * self._orig, self._orig) @ self._matrix
        return resampled.flatten()[: -(-len(samples) * self._target // self._orig)]
