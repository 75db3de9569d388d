"""Speech tokens to sound with upstream's S3Gen: flow matching to a mel, HiFT to samples.

Noise depends on the take's seed alone, and PyTorch's global generators are left as they were found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from monica.engine import Check
from monica.engine.chatterbox.conditionals import Conditionals

EULER_STEPS = 10


class CheckedEstimator(nn.Module):
    """The CFM estimator; asks before every Euler step whether the take is still wanted."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.estimator = estimator
        self.check: Check | None = None

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.estimator.dtype
        return dtype

    def forward(self, **inputs: Any) -> Tensor:
        if self.check is not None:
            self.check()
        velocity: Tensor = self.estimator(**inputs)
        return velocity


class Decoder:
    """S3Gen for one thread: a take at a time."""

    def __init__(self, s3gen: Any) -> None:
        self._s3gen = s3gen
        self._estimator = CheckedEstimator(s3gen.flow.decoder.estimator)
        s3gen.flow.decoder.estimator = self._estimator

    @torch.inference_mode()
    def decode(self, tokens: Tensor, conditionals: Conditionals, *, seed: int, check: Check) -> Tensor:
        """Speak tokens in a voice. tokens: (N,) int64 below 6561, N > 0. Returns (960 N,) at 24 kHz.

        Raises what `check` raises, between two Euler steps.
        """
        check()
        self._estimator.check = check
        try:
            with seeded(seed, tokens.device):
                mel = self._mel(tokens, conditionals)  # (1, 80, 2 N)
                wav, _source = self._s3gen.mel2wav.inference(speech_feat=mel)  # (1, 960 N)
        finally:
            self._estimator.check = None
        fade = self._s3gen.trim_fade
        wav[:, : fade.numel()] *= fade
        return wav[0]  # type: ignore[no-any-return]

    def _mel(self, tokens: Tensor, conditionals: Conditionals) -> Tensor:
        # The flow is called itself: upstream's way to it casts token ids to the model's dtype.
        prompt = conditionals.s3gen_tokens
        mel, _ = self._s3gen.flow.inference(
            token=tokens[None],
            token_len=tokens.new_tensor([tokens.numel()]),
            prompt_token=prompt,
            prompt_token_len=prompt.new_tensor([prompt.size(1)]),
            prompt_feat=conditionals.s3gen_mel,
            prompt_feat_len=None,
            embedding=conditionals.x_vector,
            finalize=True,
            n_timesteps=EULER_STEPS,
        )
        return mel  # type: ignore[no-any-return]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators for a while and put them back.

    Upstream draws its noise (CFM, HiFT's source) from them and takes no generator. One thread alone runs the
    engine, and nothing else in Monica draws from them.
    """
    on_mps = device.type == "mps"
    mps_state = torch.mps.get_rng_state() if on_mps else None
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        if on_mps:
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)
