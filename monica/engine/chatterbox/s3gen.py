"""Speech tokens to sound, as upstream's S3Gen: flow matching to a mel in ten Euler steps, HiFT to samples.

Noise is drawn from the take's generator, in upstream's order and shapes, and from nowhere else. A take is sounded by a
Python generator, a stage at a time: whatever happens between two of its stages, other takes included, changes nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.encoder import Encoder
from monica.engine.chatterbox.estimator import MEL, Estimator
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.past import Past
from monica.engine.torch.graphs import Graphs, Replay

EULER_STEPS = 10
BUCKETS = range(128, 2048 + 1, 128)
"""Frames that a step is captured for, prompt and take; a longer take is computed kernel by kernel."""


class Decoder:
    """S3Gen, for one thread.

    s3gen: upstream's, on its device. Its estimator is taken over and its weight norms are folded: what upstream does
    with tokens is not there any more, what it does with a reference recording is. precision: the estimator's; encoder
    and vocoder are computed as they were loaded. graphs: on CUDA, what captures the Euler steps.
    """

    def __init__(self, s3gen: Any, *, precision: str = "fp32", graphs: Graphs | None = None) -> None:
        flow = s3gen.flow
        self._flow = flow
        self.encoder = Encoder(flow)
        estimator = Estimator(flow.decoder.estimator, precision=precision)
        self.solver = Solver(estimator, guidance=flow.decoder.inference_cfg_rate, graphs=graphs)
        flow.decoder.estimator = None  # else its fused and rounded weights would be kept twice
        self.hift = HiFT(s3gen.mel2wav)
        self.fade: Tensor = s3gen.trim_fade
        """What the first samples of a take are multiplied by."""

    @torch.inference_mode()
    def sound(
        self, tokens: Tensor, conditionals: Conditionals, *, generator: torch.Generator
    ) -> Generator[None, None, Tensor]:
        """Speak tokens in a voice, in stages: the encoder, each Euler step, the vocoder.

        tokens: (N,) int64 below 6561, N > 0. Returns (960 N,) at 24 kHz.
        """
        mel = yield from self._mel(tokens, conditionals, generator)  # (1, 80, 2 N)
        yield
        wav = self.hift(mel, generator)[0]  # (960 N,)
        wav[: self.fade.numel()] *= self.fade
        return wav

    def decode(self, tokens: Tensor, conditionals: Conditionals, *, generator: torch.Generator) -> Tensor:
        """Go through all stages of `sound` at once."""
        stages = self.sound(tokens, conditionals, generator=generator)
        while True:
            try:
                next(stages)
            except StopIteration as last:
                samples: Tensor = last.value
                return samples

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture the Euler steps, where graphs are of use."""
        self.solver.warm_up()

    def _mel(
        self, tokens: Tensor, conditionals: Conditionals, generator: torch.Generator
    ) -> Generator[None, None, Tensor]:
        mu = self.encoder(torch.cat([conditionals.s3gen_tokens, tokens[None]], dim=1))  # (1, T, 80)
        speaker = self.speaker(conditionals)
        spoken = conditionals.s3gen_mel.size(1)
        prompt = torch.zeros_like(mu)
        prompt[:, :spoken] = conditionals.s3gen_mel
        frames = mu.size(1)
        noise = torch.randn(1, MEL, frames, generator=generator, device=generator.device, dtype=mu.dtype).to(mu.device)
        mel = yield from self.solver(noise.transpose(1, 2), mu, speaker, prompt)  # (1, T, 80)
        return mel[:, spoken:].transpose(1, 2).contiguous()

    def speaker(self, conditionals: Conditionals) -> Tensor:
        """Say what the estimator is told of who speaks. Returns (1, 80)."""
        layer = self._flow.spk_embed_affine_layer
        speaker: Tensor = layer(F.normalize(conditionals.x_vector.to(layer.weight.dtype), dim=1))
        return speaker


class Pasts:
    """What the frames of a take so far leave to those that follow: at the entry, and at every Euler step.

    prompt: those of a voice's prompt, where these begin.
    """

    def __init__(self, prompt: Pasts | None = None) -> None:
        self.given: Past = Past(prompt.given if prompt else None)
        self.steps: list[Past] = [Past(prompt.steps[step] if prompt else None) for step in range(EULER_STEPS)]


class Solver:
    """Euler's way from noise to a mel, both rows of guidance in the batch."""

    def __init__(self, estimator: Estimator, *, guidance: float, graphs: Graphs | None = None) -> None:
        self._estimator = estimator
        self._guidance = guidance
        self._graphs = graphs
        self._captured: dict[tuple[int, int], tuple[State, Replay]] = {}

    def __call__(self, noise: Tensor, mu: Tensor, speaker: Tensor, prompt: Tensor) -> Generator[None, None, Tensor]:
        """Solve a take, yielding before every step.

        noise, mu, prompt: (1, T, 80). speaker: (1, 80). Returns (1, T, 80).
        """
        x, given = noise, self._estimator.given(mu, speaker, prompt)
        state, advance = self._ready(x.size(1))
        for step in range(EULER_STEPS):
            yield
            state.load(x, given, step)
            advance()
            x = state.x[:, : x.size(1)].clone()
        return x

    def follow(
        self, noise: Tensor, mu: Tensor, speaker: Tensor, prompt: Tensor, pasts: Pasts
    ) -> Generator[None, None, Tensor]:
        """Solve frames that come after others, yielding before every step. Shapes as above, T frames of these alone.

        They hear what came before, and what came before does not hear them: upstream's estimator under a chunk mask.
        """
        x, given = noise, self._estimator.given(mu, speaker, prompt, pasts.given)
        schedule = self._estimator.schedule(EULER_STEPS)
        for times, length, past in zip(schedule.times, schedule.lengths, pasts.steps, strict=True):
            yield
            told, untold = self._estimator(x, given, times, past=past)  # (T, 80) each
            x = x + length * ((1 + self._guidance) * told - self._guidance * untold)
        return x

    def warm_up(self) -> None:
        """Capture a step for every bucket, the largest first: the others find their memory in its own."""
        for frames in reversed(BUCKETS):
            if self._graphs is not None and self._graphs.available:
                self._ready(frames)

    def _ready(self, frames: int) -> tuple[State, Replay]:
        bucket = next((bucket for bucket in BUCKETS if bucket >= frames), None)
        if bucket is not None and (bucket, EULER_STEPS) in self._captured:
            return self._captured[bucket, EULER_STEPS]
        if bucket is None or self._graphs is None or not self._graphs.available:
            state = State(self._estimator, self._guidance, frames, EULER_STEPS, padded=False)
            return state, state.advance
        state = State(self._estimator, self._guidance, bucket, EULER_STEPS, padded=True)
        advance = self._graphs.capture(f"an Euler step of {bucket} frames", state.advance)
        self._captured[bucket, EULER_STEPS] = state, advance
        return state, advance


class State:
    """What a step reads and writes, in tensors that stay where they are, so that it can be captured.

    It holds a take for one step only, for others of about its length may be on their way too.
    padded: frames beyond a take's own may follow; being masked, and every convolution causal, they change nothing.
    """

    def __init__(self, estimator: Estimator, guidance: float, frames: int, steps: int, *, padded: bool) -> None:
        device, dtype = estimator.device, estimator.solver_dtype
        self._estimator, self._guidance = estimator, guidance
        self._schedule = estimator.schedule(steps)
        self._now = torch.zeros(1, dtype=torch.int64, device=device)
        self.x = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self._given = torch.zeros(2, 2, frames, estimator.channels, device=device, dtype=estimator.dtype)
        self._mask = torch.zeros(1, 1, 1, frames, device=device, dtype=estimator.dtype) if padded else None

    def load(self, x: Tensor, given: Tensor, step: int) -> None:
        """Put in a take, at a step. x: (1, T, 80). given: (2, 2, T, 256), the estimator's. T: at most the state's."""
        frames = x.size(1)
        padding = (0, 0, 0, self.x.size(1) - frames)
        self._now.fill_(step)
        self.x.copy_(F.pad(x, padding))
        self._given.copy_(F.pad(given, padding))
        if self._mask is not None:
            self._mask[..., :frames] = 0
            self._mask[..., frames:] = -torch.inf

    def advance(self) -> None:
        """Take the step, in x. Waits for nothing, and makes nothing of the host's."""
        times = self._schedule.times.index_select(0, self._now)[0]  # (resnets, 256)
        length = self._schedule.lengths.index_select(0, self._now)  # (1,)
        told, untold = self._estimator(self.x, self._given, times, self._mask)  # (T, 80) each
        self.x.add_(length * ((1 + self._guidance) * told - self._guidance * untold))
