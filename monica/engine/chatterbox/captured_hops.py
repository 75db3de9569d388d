"""A stream's hop on CUDA: all Euler steps in one graph, on a cache of the estimator that stays in place.

Run kernel by kernel, a hop is ten thousand launches, which take ten times as long as the kernels. A captured hop needs
fixed addresses and fixed sizes:

- Keys and values lie in one tensor: first the voice's prompt, then a ring of the take's own frames. A hop writes its
  frames into the ring and attends to the slots that a mask leaves open. Attention here has no positions, so the order
  of the slots does not matter.
- A hop of fewer frames than its graph's is padded at its end. Its padding is written into slots that the next hop
  overwrites, and no frame attends to it.
- There is one such cache, because it is large. The take whose hop comes next moves in; the one before it, if it still
  goes on, keeps a copy of what it needs.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from monica.engine.chatterbox import streaming_cache
from monica.engine.chatterbox.estimator import MEL, Estimator
from monica.engine.chatterbox.euler import EulerSolver, SolverCache, guide_velocity
from monica.engine.chatterbox.streaming_cache import KeyValue, StreamingCache
from monica.engine.torch.captured import upload
from monica.engine.torch.graphs import Graphs, Replay

HOPS = (64, 128, 200)
"""Frames that a hop is captured for."""
PROMPT_FRAMES = 504
"""Slots for a voice's prompt: ten seconds, in whole rows of eight for the attention's mask."""

logger = logging.getLogger(__name__)


@dataclass(eq=False, frozen=True, slots=True)
class FlatPrompt:
    """The cache of a voice's prompt, in two tensors that can be copied with one launch each."""

    hops: CapturedHops
    """What it was laid out for."""
    kv: Tensor
    """(steps, layers, 2, rows, heads, T, 64): keys and values."""
    contexts: Tensor
    """(N,): the last frames before each convolution."""
    speaker: Tensor
    """(1, 80)"""


@dataclass(eq=False, slots=True, weakref_slot=True)
class HopState:
    """How far a take has got in the ring."""

    prompt: FlatPrompt
    head: int = 0
    """The slot of the ring that its next frame goes into."""
    count: int = 0
    """How many of its own earlier frames it attends to."""
    saved: tuple[Tensor, Tensor] | None = None
    """The keys and values of its last frames, and its contexts, while another take is in the cache."""


class StaticCache(StreamingCache):
    """A StreamingCache whose tensors stay in place. It serves one Euler step, or the conditioning, at one hop size."""

    def __init__(self, hop: Hop, contexts: dict[object, Tensor], kv: dict[object, Tensor]) -> None:
        super().__init__()
        self._hop, self._contexts, self._kv = hop, contexts, kv

    def prepend_context(self, layer: object, x: Tensor, frames: int) -> Tensor:
        context = self._contexts[layer]
        padded = torch.cat([context, x], dim=1)
        torch.index_select(padded, 1, self._hop.context_at, out=context)
        return padded

    def append_kv(self, layer: object, keys: Tensor, values: Tensor) -> KeyValue:
        all_keys, all_values = self._kv[layer]
        all_keys.index_copy_(2, self._hop.slots, keys)
        all_values.index_copy_(2, self._hop.slots, values)
        return all_keys, all_values


class CapturedHops:
    """The hops of all streams of a model. For one thread.

    Raises MemoryError if the graphs' budget has no room for the cache.
    """

    def __init__(self, solver: EulerSolver, graphs: Graphs) -> None:
        self.solver = solver
        estimator = solver.estimator
        like = _run_once(solver)
        layers = like.steps[0].kv
        rows, heads, _, width = next(iter(layers.values()))[0].shape
        self.ring = -(-(streaming_cache.REACH + HOPS[-1]) // 8) * 8
        shape = (solver.steps, len(layers), 2, rows, heads, PROMPT_FRAMES + self.ring, width)
        device, dtype = estimator.device, estimator.dtype
        size = torch.Size(shape).numel() * dtype.itemsize
        if size > graphs.budget:
            raise MemoryError(f"{size / 2**30:.1f} GiB")
        graphs.budget -= size
        self.kv = torch.zeros(shape, device=device, dtype=dtype)
        self.contexts = torch.zeros_like(_flatten_contexts(like))
        self.numbers = torch.zeros(4, dtype=torch.int64, device=device)
        """Head, count, frames of the hop, frames of the prompt."""
        self.speaker = torch.zeros(1, MEL, device=device, dtype=estimator.solver_dtype)
        self._resident: Callable[[], HopState | None] = lambda: None
        self._prompt: FlatPrompt | None = None
        self._hops: dict[int, tuple[Hop, Replay]] = {}
        for frames in reversed(HOPS):
            hop = Hop(self, frames, like)
            self._hops[frames] = hop, graphs.capture(f"a hop of {frames} frames", hop.run)
        self.kv.zero_()
        self.contexts.zero_()

    def flatten(self, prompt: SolverCache, speaker: Tensor) -> FlatPrompt:
        """Lay out the cache of a prompt, which is then no longer needed. speaker: (1, 80)."""
        pairs = [tensor for step in prompt.steps for pair in step.kv.values() for tensor in pair]
        kv = torch.stack(pairs).view(*self.kv.shape[:3], *pairs[0].shape)
        return FlatPrompt(self, kv, _flatten_contexts(prompt), speaker)

    def fits(self, prompt_frames: int) -> bool:
        """Whether a voice's prompt has room in the cache."""
        return prompt_frames <= PROMPT_FRAMES

    def start(self, prompt: FlatPrompt) -> HopState:
        """Start a take."""
        return HopState(prompt)

    def solve(self, noise: Tensor, mu: Tensor, state: HopState) -> Tensor:
        """Solve the next frames of a take, at most HOPS[-1]. noise, mu: (1, T, 80). Returns (1, T, 80).

        This is one pass: between two of its steps, no other take may use the cache.
        """
        count = noise.size(1)
        hop, replay = next(self._hops[frames] for frames in HOPS if frames >= count)
        self._move_in(state)
        hop.x[:, :count].copy_(noise)
        hop.mu[:, :count].copy_(mu)
        upload([state.head, state.count, count, state.prompt.kv.size(-2)], self.numbers)
        replay()
        state.head = (state.head + count) % self.ring
        state.count = min(state.count + count, streaming_cache.REACH)
        return hop.x[:, :count].clone()

    def _move_in(self, state: HopState) -> None:
        resident = self._resident()
        if resident is state:
            return
        own, reach = self.kv[..., PROMPT_FRAMES:, :], streaming_cache.REACH
        if resident is not None:
            last = (torch.arange(reach, device=own.device) + (resident.head - reach)) % self.ring
            resident.saved = own.index_select(-2, last), self.contexts.clone()
        if self._prompt is not state.prompt:
            self.kv[..., : state.prompt.kv.size(-2), :].copy_(state.prompt.kv)
            self.speaker.copy_(state.prompt.speaker)
            self._prompt = state.prompt
        own.zero_()  # what is masked is multiplied by zero, which would keep another take's NaN
        if state.saved is None:
            self.contexts.copy_(state.prompt.contexts)
        else:
            kv, contexts = state.saved
            own[..., :reach, :].copy_(kv)
            self.contexts.copy_(contexts)
            state.head, state.saved = reach, None
        self._resident = weakref.ref(state)


class Hop:
    """The buffers of hops of one size, and what runs on them."""

    def __init__(self, shared: CapturedHops, frames: int, like: SolverCache) -> None:
        self._shared, self.frames = shared, frames
        solver, kv = shared.solver, shared.kv
        estimator = solver.estimator
        device, dtype = kv.device, estimator.solver_dtype
        self.x = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self.mu = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self._no_prompt = torch.zeros(1, frames, MEL, device=device, dtype=dtype)
        self.slots = torch.zeros(frames, dtype=torch.int64, device=device)
        self.context_at = torch.zeros(2, dtype=torch.int64, device=device)
        self._mask = torch.zeros(1, 1, 1, kv.size(-2), device=device, dtype=kv.dtype)
        self._all_slots = torch.arange(kv.size(-2), device=device)
        self._schedule = estimator.schedule(solver.steps)
        caches, start = [], 0
        for index, cache in enumerate([like.cond, *like.steps]):
            contexts: dict[object, Tensor] = {}
            for layer, context in cache.contexts.items():
                contexts[layer] = shared.contexts[start : start + context.numel()].view(context.shape)
                start += context.numel()
            layers = {layer: kv[index - 1, number] for number, layer in enumerate(cache.kv)}
            caches.append(StaticCache(self, contexts, layers))
        self._cond_cache, *self._step_caches = caches

    @torch.inference_mode()
    def run(self) -> None:
        """Advance x from noise to a mel. It neither waits for the device nor brings data from the host."""
        self._place_frames()
        solver, shared = self._shared.solver, self._shared
        estimator: Estimator = solver.estimator
        cond = estimator.cond_features(self.mu, shared.speaker, self._no_prompt, self._cond_cache)
        for t_emb, dt, cache in zip(self._schedule.t_emb, self._schedule.dt, self._step_caches, strict=True):
            velocity = estimator(self.x, cond, t_emb, self._mask, cache)
            self.x.add_(dt * guide_velocity(velocity, solver.guidance))

    def _place_frames(self) -> None:
        """Clear what follows the frames of this hop, compute where they go, and which slots they attend to."""
        head, count, frames, prompt = self._shared.numbers.unbind()
        unused = (self._all_slots[: self.frames] >= frames)[:, None]
        for place in (self.x, self.mu):  # what an earlier hop has left there: even masked, its NaN would spread
            place.masked_fill_(unused, 0)
        ring = self._shared.ring
        self.context_at.copy_(frames + self._all_slots[:2])
        self.slots.copy_((head + self._all_slots[: self.frames]) % ring + PROMPT_FRAMES)
        age = (self._all_slots - PROMPT_FRAMES - head) % ring  # 0 is the hop's first frame, ring - 1 the one before it
        own = (self._all_slots >= PROMPT_FRAMES) & ((age < frames) | (age >= ring - count))
        self._mask.zero_().masked_fill_(~(own | (self._all_slots < prompt)), -torch.inf)


@torch.inference_mode()
def _run_once(solver: EulerSolver) -> SolverCache:
    """Make a cache that shows which layers keep what."""
    estimator = solver.estimator
    cache = SolverCache(solver.steps)
    frames = torch.zeros(1, 2, MEL, device=estimator.device, dtype=estimator.solver_dtype)
    cond = estimator.cond_features(frames, frames[:, 0], frames, cache.cond)
    for step, t_emb in zip(cache.steps, estimator.schedule(solver.steps).t_emb, strict=True):
        estimator(frames, cond, t_emb, cache=step)
    return cache


def _flatten_contexts(cache: SolverCache) -> Tensor:
    return torch.cat([context.flatten() for part in (cache.cond, *cache.steps) for context in part.contexts.values()])
