"""The Perth watermark. Every sample that leaves the engine carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import perth
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine.chatterbox.watermark_products import WatermarkProducts
from monica.engine.torch.resample import Resampler
from monica.errors import ConfigError

SAMPLE_RATE = 24_000
WATERMARK_REACH = 13
"""How many frames to either side a watermarked frame depends on. Tests show that frames farther away change nothing."""
FLOOR_DB = -180.0
HEADROOM_DB = 15.0
SPAN_DB = HEADROOM_DB - FLOOR_DB
"""The range of levels that Perth's network sees: the floor is 0, the headroom above full scale is 1."""


class Watermark:
    """Perth's implicit watermark, on the engine's device. Raises ConfigError if it cannot be loaded.

    products: whether to compute it as matrix products, whose cost does not depend on which lengths were heard. None: on
    CUDA.
    """

    def __init__(self, device: torch.device | str = "cpu", *, products: bool | None = None) -> None:
        if perth.PerthImplicitWatermarker is None:
            raise ConfigError(
                "The Perth watermark cannot be imported: install `setuptools<82`, which has the pkg_resources it "
                "needs (`make install EXTRA=chatterbox`)."
            )
        self._perth = perth.PerthImplicitWatermarker(run_name=None, device=device, perth_net=_network())
        rate = self._perth.perth_net.hp.sample_rate
        self._to_perth = Resampler(SAMPLE_RATE, rate, device)
        self._from_perth = Resampler(rate, SAMPLE_RATE, device)
        if torch.device(device).type == "cuda" if products is None else products:
            self._mark: Callable[[Tensor], Tensor] = WatermarkProducts(self._perth.perth_net, FLOOR_DB, SPAN_DB)
        else:
            self._mark = self._mark_by_transforms

    @torch.inference_mode()
    def apply(self, samples: Tensor) -> Tensor:
        """Watermark sound as Perth's apply_watermark does, within rounding.

        samples: (N,) float32 at 24 kHz on the device, N a multiple of 240, 960 or more. Returns (N,) in [-1, 1].
        """
        return self._from_perth(self._mark(self._to_perth(samples))).clamp(-1, 1)

    def _mark_by_transforms(self, sound: Tensor) -> Tensor:
        """Mark sound at Perth's rate with its own modules. sound: (N,). Returns (N,)."""
        network = self._perth.perth_net
        spectrum = network.ap.spectrogram(sound)
        level = ((20 * spectrum.abs().log10()).clamp(FLOOR_DB) - FLOOR_DB) / SPAN_DB
        marked, _ = network.encoder(level[None])
        # Perth separates the phase and puts it back. A gain leaves it in place: the same result, at less cost.
        gain = 10 ** ((marked[0] - level) * SPAN_DB / 20)
        result: Tensor = network.ap.inv_spectrogram(spectrum * gain)
        return result

    @torch.inference_mode()
    def detect(self, samples: NDArray[np.float32], sample_rate: int) -> float:
        """Return 1.0 if sound is watermarked, 0.0 if not."""
        return float(np.mean(self._perth.get_watermark(samples, sample_rate=sample_rate)))


def _network() -> Any:
    # Assembled from its parts: upstream's own loader prints to standard output.
    from perth.perth_net import PREPACKAGED_MODELS_DIR
    from perth.perth_net.perth_net_implicit.checkpoint_manager import CheckpointManager
    from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet

    try:
        manager = CheckpointManager(PREPACKAGED_MODELS_DIR, "implicit")
        network = PerthNet(manager.hp)
        network.load_state_dict(manager.load_latest()["model"])
    except Exception as error:  # a guard: a damaged installation fails in many ways, with one remedy for all
        raise ConfigError(
            "The weights of the Perth watermark cannot be loaded: reinstall resemble-perth "
            "(`uv sync --reinstall-package resemble-perth`)."
        ) from error
    return network.requires_grad_(False).eval()
