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
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.streaming_cache import StreamingCache
from monica.engine.chatterbox.token_encoder import TokenEncoder
from monica.engine.torch.captured import CapturedFunction
from monica.engine.torch.graphs import Graphs, Replay

EULER_STEPS = 10
MEANFLOW_STEPS = 2
"""Euler steps of the MeanFlow decoder: what upstream's Turbo takes."""
BUCKETS = range(128, 2048 + 1, 128)
"""Frames, prompt and take together, that an Euler step is captured for. Longer takes run kernel by kernel."""


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


class SolverCache:
    """What the solver keeps of a take from one chunk to the next: a cache of the conditioning, and one per Euler step.

    steps: number of Euler steps. prompt: the cache of the voice's prompt, which the take's first chunk follows.
    """

    def __init__(self, steps: int, prompt: SolverCache | None = None) -> None:
        self.cond: StreamingCache = StreamingCache(prompt.cond if prompt else None)
        self.steps: list[StreamingCache] = [
            StreamingCache(prompt.steps[step] if prompt else None) for step in range(steps)
        ]


class EulerSolver:
    """Integrates the flow from noise to a mel by Euler's method; if there is guidance, both of its rows in one batch.

    guidance: how far to move from the unconditional velocity; a MeanFlow estimator has learned it and takes none.
    """

    def __init__(self, estimator: Estimator, *, guidance: float, graphs: Graphs | None = None) -> None:
        self.estimator = estimator
        self.guidance = guidance
        self.meanflow = estimator.meanflow
        self._graphs = graphs
        self._captured: dict[tuple[int, int], tuple[EulerStep, Replay]] = {}

    @property
    def steps(self) -> int:
        """The number of Euler steps."""
        return MEANFLOW_STEPS if self.meanflow else EULER_STEPS

    def start_cache(self, prompt: SolverCache | None = None) -> SolverCache:
        """Make the cache of a take that follows a prompt, or of a prompt."""
        return SolverCache(self.steps, prompt)

    def solve(self, noise: Tensor, mu: Tensor, speaker: Tensor, prompt: Tensor) -> Generator[None, None, Tensor]:
        """Solve a whole take, yielding before every step.

        noise, mu, prompt: (1, T, 80). speaker: (1, 80). Returns (1, T, 80).
        """
        x, cond = noise, self.estimator.cond_features(mu, speaker, prompt)
        euler_step, run = self._step_for(x.size(1))
        for index in range(self.steps):
            yield
            euler_step.set_inputs(x, cond, index)
            run()
            x = euler_step.x[:, : x.size(1)].clone()
        return x

    def solve_chunk(
        self, noise: Tensor, mu: Tensor, speaker: Tensor, prompt: Tensor, cache: SolverCache
    ) -> Generator[None, None, Tensor]:
        """Solve the next chunk of a take, yielding before every step. Shapes as in `solve`; T is the chunk's frames.

        The chunk attends to the frames before it, which do not attend to the chunk: upstream's estimator under a chunk
        mask.
        """
        x, cond = noise, self.estimator.cond_features(mu, speaker, prompt, cache.cond)
        schedule = self.estimator.schedule(self.steps)
        for t_emb, dt, step_cache in zip(schedule.t_emb, schedule.dt, cache.steps, strict=True):
            yield
            x = x + dt * guide_velocity(self.estimator(x, cond, t_emb, cache=step_cache), self.guidance)
        return x

    def warm_up(self) -> None:
        """Capture a step for every bucket, the largest first: the smaller ones then fit into its memory."""
        for frames in reversed(BUCKETS):
            if self._graphs is not None and self._graphs.available:
                self._step_for(frames)

    def captured_steps(self) -> Iterator[tuple[str, EulerStep, Replay]]:
        """Yield each captured step: its name, its buffers, and what replays it on them."""
        for (bucket, _), (euler_step, replay) in self._captured.items():
            yield self._name(bucket), euler_step, replay

    @staticmethod
    def _name(bucket: int) -> str:
        return f"an Euler step of {bucket} frames"

    def _step_for(self, frames: int) -> tuple[EulerStep, Replay]:
        """Return the buffers for a take of this many frames, and what runs a step on them."""
        bucket = next((bucket for bucket in BUCKETS if bucket >= frames), None)
        if bucket is not None and (bucket, self.steps) in self._captured:
            return self._captured[bucket, self.steps]
        if bucket is None or self._graphs is None or not self._graphs.available:
            euler_step = EulerStep(self.estimator, self.guidance, frames, self.steps, padded=False)
            return euler_step, euler_step.run
        euler_step = EulerStep(self.estimator, self.guidance, bucket, self.steps, padded=True)
        replay = self._graphs.capture(self._name(bucket), euler_step.run)
        self._captured[bucket, self.steps] = euler_step, replay
        return euler_step, replay


class EulerStep:
    """One Euler step on tensors that stay in place, so that it can be captured.

    It holds a take for one step only, because other takes of about the same length may be in progress too.
    padded: whether frames may follow a take's own. They change nothing: they are masked, and every convolution is
    causal.
    """

    def __init__(self, estimator: Estimator, guidance: float, frames: int, steps: int, *, padded: bool) -> None:
        device, dtype = estimator.device, estimator.solver_dtype
        self.estimator, self._guidance = estimator, guidance
        self.steps = steps
        """How many steps the schedule has that this is one of."""
        self._schedule = estimator.schedule(steps)
        self._index = torch.zeros(1, dtype=torch.int64, device=device)
        self.x = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self._cond = torch.zeros(2, estimator.rows, frames, estimator.channels, device=device, dtype=estimator.dtype)
        self._mask = torch.zeros(1, 1, 1, frames, device=device, dtype=estimator.dtype) if padded else None

    def set_inputs(self, x: Tensor, cond: Tensor, index: int) -> None:
        """Copy in a take before its step `index`. x: (1, T, 80). cond: (2, rows, T, 256), from `cond_features`.

        T may not exceed the frames of this step.
        """
        frames = x.size(1)
        padding = (0, 0, 0, self.x.size(1) - frames)
        self._index.fill_(index)
        self.x.copy_(F.pad(x, padding))
        self._cond.copy_(F.pad(cond, padding))
        if self._mask is not None:
            self._mask[..., :frames] = 0
            self._mask[..., frames:] = -torch.inf

    def with_estimator(self, estimator: Estimator, frames: int) -> EulerStep:
        """Return the same step for exactly `frames` frames, by another estimator."""
        return EulerStep(estimator, self._guidance, frames, self.steps, padded=False)

    def run(self) -> None:
        """Advance x by one step. It neither waits for the device nor brings data from the host."""
        t_emb = self._schedule.t_emb.index_select(0, self._index)[0]  # (resnets, 256)
        dt = self._schedule.dt.index_select(0, self._index)  # (1,)
        self.x.add_(dt * guide_velocity(self.estimator(self.x, self._cond, t_emb, self._mask), self._guidance))


def guide_velocity(velocity: Tensor, guidance: float) -> Tensor:
    """Combine the rows of guidance. Returns (T, 80).

    velocity: (2, T, 80), conditional and unconditional; or (1, T, 80), if there is no guidance.
    """
    if velocity.size(0) == 1:
        return velocity[0]
    return (1 + guidance) * velocity[0] - guidance * velocity[1]
