"""Speech tokens to sound, as upstream's S3Gen: flow matching to a mel in Euler steps, then HiFT to samples.

The standard decoder takes ten steps, with guidance in a second row. The MeanFlow decoder of Chatterbox Turbo is
distilled from it (arxiv.org/abs/2510.07979) to two steps without guidance: two evaluations of a row instead of twenty.

Noise is drawn only from the take's generator, in upstream's order and shapes. A take is synthesized by a Python
generator that yields between passes (the encoder, each Euler step, the vocoder): whatever happens between two of its
passes, other takes included, changes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import MEL, Estimator
from monica.engine.chatterbox.euler import EulerSolver
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.token_encoder import TokenEncoder
from monica.engine.torch.captured import CapturedFunction
from monica.engine.torch.graphs import Graphs

TOKEN_SAMPLES = 960
"""Samples that a token makes: 25 tokens a second at 24 kHz."""


def kept_samples(tokens: int) -> int:
    """Return how many samples of a take of `tokens` tokens are heard: not the last token's, unless it is the only one.

    T3 draws that token just before end of speech, and it decodes to 40 ms of noise. S3Gen synthesizes it all the same,
    because without it the encoder, the estimator and the vocoder would see another ending. A take that was cut at its
    limit loses its last token's samples, too, although that one is no noise: it ends in the middle of a word anyway.
    Source: `generate` in mtl_tts.py, github.com/resemble-ai/chatterbox at 5de7a54.
    """
    return TOKEN_SAMPLES * max(1, tokens - 1)


class Token2Wav:
    """S3Gen, for one thread.

    s3gen: upstream's, on its device. Its estimator is taken over and its weight norms are folded: afterwards upstream's
    own path from tokens to sound no longer works, while its path from a reference recording does.
    precision: the estimator's; encoder and vocoder compute in the precision they were loaded in.
    graphs: captures the Euler steps on CUDA.
    """

    def __init__(self, s3gen: Any, *, precision: str = "fp32", graphs: Graphs | None = None) -> None:
        flow = s3gen.flow
        self._flow = flow
        self.encoder = TokenEncoder(flow, graphs=graphs)
        estimator = Estimator(flow.decoder.estimator, precision=precision)
        self.solver = EulerSolver(estimator, guidance=flow.decoder.inference_cfg_rate, graphs=graphs)
        flow.decoder.estimator = None  # otherwise its weights would be in memory twice: upstream's, and fused
        self.hift = HiFT(s3gen.mel2wav, graphs=graphs)
        self.fade: Tensor = s3gen.trim_fade
        """The fade-in that the first samples of a take are multiplied by."""

    @torch.inference_mode()
    def synthesize(
        self, tokens: Tensor, conditionals: Conditionals, *, generator: torch.Generator
    ) -> Generator[None, None, Tensor]:
        """Turn tokens into sound in a voice, yielding between passes: the encoder, each Euler step, the vocoder.

        tokens: (N,) int64 below 6561, N > 0. Returns (960 N,) at 24 kHz.
        """
        mel = yield from self._predict_mel(tokens, conditionals, generator)  # (1, 80, 2 N)
        yield
        wav = self.hift(mel, generator)[0]  # (960 N,)
        wav[: self.fade.numel()] *= self.fade
        return wav

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture the Euler steps, the encoder and the vocoder, if graphs are available."""
        self.solver.warm_up()
        self.encoder.warm_up()
        self.hift.warm_up()

    def captured_functions(self) -> Iterator[CapturedFunction]:
        """Yield what is captured beside the Euler steps."""
        yield from self.encoder.captured.values()
        yield from self.hift.captured.values()

    def _predict_mel(
        self, tokens: Tensor, conditionals: Conditionals, generator: torch.Generator
    ) -> Generator[None, None, Tensor]:
        mu = self.encoder(torch.cat([conditionals.s3gen_tokens, tokens[None]], dim=1))  # (1, T, 80)
        speaker = self.project_x_vector(conditionals)
        prompt_frames = conditionals.s3gen_mel.size(1)
        prompt = torch.zeros_like(mu)
        prompt[:, :prompt_frames] = conditionals.s3gen_mel
        frames = mu.size(1)
        noise = self._draw_noise(frames, prompt_frames, mu, generator)
        mel = yield from self.solver.solve(noise.transpose(1, 2), mu, speaker, prompt)  # (1, T, 80)
        return mel[:, prompt_frames:].transpose(1, 2).contiguous()

    def _draw_noise(self, frames: int, prompt_frames: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise that the flow starts from, in upstream's order. Returns (1, 80, T)."""

        def draw(count: int) -> Tensor:
            drawn = torch.randn(1, MEL, count, generator=generator, device=generator.device, dtype=like.dtype)
            return drawn.to(like.device)

        if not self.solver.meanflow:
            return draw(frames)
        own = draw(frames - prompt_frames)  # with MeanFlow upstream draws the take's frames first, then all
        return torch.cat([draw(frames)[..., :prompt_frames], own], dim=2)

    def project_x_vector(self, conditionals: Conditionals) -> Tensor:
        """Project the voice's x-vector to the estimator's speaker embedding. Returns (1, 80)."""
        layer = self._flow.spk_embed_affine_layer
        speaker: Tensor = layer(F.normalize(conditionals.x_vector.to(layer.weight.dtype), dim=1))
        return speaker
