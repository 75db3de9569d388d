"""The Perth watermark: every sample that leaves the engine carries it."""

from __future__ import annotations

from typing import Any

import numpy as np
import perth
import torch
from numpy.typing import NDArray

from monica.errors import ConfigError


class Watermark:
    """Perth's implicit watermark, on the CPU. Raises ConfigError where it cannot be loaded."""

    def __init__(self) -> None:
        if perth.PerthImplicitWatermarker is None:
            raise ConfigError(
                "The Perth watermark cannot be imported: install `setuptools<82`, which has the pkg_resources it "
                "needs (`make install EXTRA=chatterbox`)."
            )
        self._perth = perth.PerthImplicitWatermarker(run_name=None, perth_net=_network())

    @torch.inference_mode()
    def apply(self, samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
        """Mark sound. samples: (N,), N at least 1 280 at 32 kHz. Returns (N,) in [-1, 1]."""
        marked: NDArray[np.float32] = self._perth.apply_watermark(samples, sample_rate=sample_rate)
        return np.clip(marked, -1, 1).astype(np.float32, copy=False)

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
