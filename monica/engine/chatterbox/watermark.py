"""The Perth watermark: every sample that leaves the engine carries it."""

from __future__ import annotations

from typing import Any

import numpy as np
import perth
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine.torch.resample import Resampler
from monica.errors import ConfigError

SAMPLE_RATE = 24_000
FLOOR_DB = -180.0
HEADROOM_DB = 15.0
"""Perth's network sees levels: the floor at 0, the headroom over full scale at 1."""


class Watermark:
    """Perth's implicit watermark, on the engine's device. Raises ConfigError where it cannot be loaded."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        if perth.PerthImplicitWatermarker is None:
            raise ConfigError(
                "The Perth watermark cannot be imported: install `setuptools<82`, which has the pkg_resources it "
                "needs (`make install EXTRA=chatterbox`)."
            )
        self._perth = perth.PerthImplicitWatermarker(run_name=None, device=device, perth_net=_network())
        rate = self._perth.perth_net.hp.sample_rate
        self._there = Resampler(SAMPLE_RATE, rate, device)
        self._back = Resampler(rate, SAMPLE_RATE, device)

    @torch.inference_mode()
    def apply(self, samples: Tensor) -> Tensor:
        """Mark sound as Perth's apply_watermark does, within rounding.

        samples: (N,) float32 at 24 kHz on the device, N a multiple of 240, 960 or more. Returns (N,) in [-1, 1].
        """
        network = self._perth.perth_net
        span = HEADROOM_DB - FLOOR_DB
        # PyTorch's default for convolutions on CUDA is TF32, a thousandth off.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            spectrum = network.ap.spectrogram(self._there(samples))
            level = ((20 * spectrum.abs().log10()).clamp(FLOOR_DB) - FLOOR_DB) / span
            marked, _ = network.encoder(level[None])
            # Perth takes the phase off and on again. A gain leaves it where it is: the same, for less.
            gain = 10 ** ((marked[0] - level) * span / 20)
            return self._back(network.ap.inv_spectrogram(spectrum * gain)).clamp(-1, 1)

    @torch.inference_mode()
    def read(self, samples: NDArray[np.float32], sample_rate: int) -> float:
        """Say whether sound is marked: 1.0 where it is, 0.0 where not."""
        return float(np.mean(self._perth.get_watermark(samples, sample_rate=sample_rate)))


def _network() -> Any:
    # By its parts: upstream's own way prints to standard output.
    from perth.perth_net import PREPACKAGED_MODELS_DIR
    from perth.perth_net.perth_net_implicit.checkpoint_manager import CheckpointManager
    from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet

    try:
        manager = CheckpointManager(PREPACKAGED_MODELS_DIR, "implicit")
        network = PerthNet(manager.hp)
        network.load_state_dict(manager.load_latest()["model"])
    except Exception as error:  # a guard: a damaged installation fails in many ways, all with one remedy
        raise ConfigError(
            "The weights of the Perth watermark cannot be loaded: reinstall resemble-perth "
            "(`uv sync --reinstall-package resemble-perth`)."
        ) from error
    return network.requires_grad_(False).eval()
