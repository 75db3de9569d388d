"""The flow of S3Gen from noise to a mel, by Euler's method: whole takes in captured steps, streams chunk by chunk."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.estimator import MEL, Estimator, Mask
from monica.engine.chatterbox.frame_attention import FirstFrames, first_frames_are_respected
from monica.engine.chatterbox.streaming_cache import StreamingCache
from monica.engine.torch.graphs import Graphs, Replay

EULER_STEPS = 10
MEANFLOW_STEPS = 2
"""Euler steps of the MeanFlow decoder: what upstream's Turbo takes."""
BUCKETS = range(128, 2048 + 1, 128)
"""Frames, prompt and take together, that an Euler step is captured for. Longer takes run kernel by kernel."""
Padding = Literal["masked", "by length"]
"""How attention leaves out the frames that follow a take's own."""


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
        self.by_length = False
        """Whether attention in captured steps reads how many frames a take has, rather than a mask."""
        if estimator.device.type == "cuda" and estimator.dtype == torch.bfloat16 and graphs is not None:
            self.by_length = first_frames_are_respected(estimator.device, estimator.dtype)

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
            euler_step = EulerStep(self.estimator, self.guidance, frames, self.steps)
            return euler_step, euler_step.run
        padding: Padding = "by length" if self.by_length else "masked"
        euler_step = EulerStep(self.estimator, self.guidance, bucket, self.steps, padding=padding)
        replay = self._graphs.capture(self._name(bucket), euler_step.run)
        self._captured[bucket, self.steps] = euler_step, replay
        return euler_step, replay


class EulerStep:
    """One Euler step on tensors that stay in place, so that it can be captured.

    It holds a take for one step only, because other takes of about the same length may be in progress too.
    padding: how attention leaves out the frames that follow a take's own; None: there are none. They change nothing
    else, because every convolution is causal.
    """

    def __init__(
        self,
        estimator: Estimator,
        guidance: float,
        frames: int,
        steps: int,
        *,
        padding: Padding | None = None,
    ) -> None:
        device, dtype = estimator.device, estimator.solver_dtype
        self.estimator, self._guidance = estimator, guidance
        self.steps = steps
        """How many steps the schedule has that this is one of."""
        self._schedule = estimator.schedule(steps)
        self._index = torch.zeros(1, dtype=torch.int64, device=device)
        self.x = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self._cond = torch.zeros(2, estimator.rows, frames, estimator.channels, device=device, dtype=estimator.dtype)
        self._mask: Mask | None = None
        if padding == "masked":
            self._mask = torch.zeros(1, 1, 1, frames, device=device, dtype=estimator.dtype)
        elif padding == "by length":
            self._mask = FirstFrames.allocate(estimator.rows, frames, device)

    def set_inputs(self, x: Tensor, cond: Tensor, index: int) -> None:
        """Copy in a take before its step `index`. x: (1, T, 80). cond: (2, rows, T, 256), from `cond_features`.

        T may not exceed the frames of this step.
        """
        frames = x.size(1)
        padding = (0, 0, 0, self.x.size(1) - frames)
        self._index.fill_(index)
        self.x.copy_(F.pad(x, padding))
        self._cond.copy_(F.pad(cond, padding))
        if isinstance(self._mask, FirstFrames):
            self._mask.used.fill_(frames)
        elif self._mask is not None:
            self._mask[..., :frames] = 0
            self._mask[..., frames:] = -torch.inf

    def with_estimator(self, estimator: Estimator, frames: int) -> EulerStep:
        """Return the same step for exactly `frames` frames, by another estimator."""
        return EulerStep(estimator, self._guidance, frames, self.steps)

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
