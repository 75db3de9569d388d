"""T3: text tokens and a voice in, speech tokens out; several takes side by side, joining and leaving between steps.

It installs no hooks, keeps nothing of a take that has left, and draws from each take's own generator alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from monica.engine import SynthesisParams
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.decoding import Decoding
from monica.engine.chatterbox.llama import POSITIONS, Layer, Llama
from monica.engine.chatterbox.prompt import embed_prompt
from monica.engine.chatterbox.sampling import draw, guide, probabilities
from monica.engine.chatterbox.slots import SLOTS, Saved, Slots, rounded_up, rows
from monica.engine.torch.graphs import Graphs, Replay
from monica.engine.torch.linear import PRECISIONS
from monica.errors import InvalidText

GRAPH_WINDOWS = (256, 512, 1024, 2048, POSITIONS)
"""How much of the cache attention is over: a captured graph for each, times SLOTS."""
EAGER_WINDOW = 64
"""Where nothing is captured, the window is rounded up to a multiple of this."""
LAG = 2
"""On CUDA, steps that are under way before the oldest one's tokens are read: the device never waits for the host."""


def affordable_slots(config: LlamaConfig, layers: int, precision: str, budget: int) -> int:
    """Say for how many takes a cache of `budget` bytes has room, one at the least."""
    positions = 2 * 2 * POSITIONS * layers  # keys and values of two rows
    each = positions * config.hidden_size * PRECISIONS[precision].itemsize
    return max((slots for slots in SLOTS if slots * each <= budget), default=SLOTS[0])


class T3:
    """The model, and the slots its takes decode in. For one thread.

    front: upstream's T3 without its transformer's layers, in float32, on the device: embeddings, conditioning, head.
    layers: the state of each layer; copied one by one.
    precision: `fp32`, `bf16` or `int8`, of the transformer; embeddings, logits and sampling stay in float32.
    """

    def __init__(
        self,
        front: Any,
        layers: Sequence[Mapping[str, Tensor]],
        *,
        precision: str = "fp32",
        graphs: Graphs | None = None,
        slots: int = SLOTS[-1],
    ) -> None:
        self.front = front
        self.device: torch.device = front.speech_head.weight.device
        self.precision = precision
        self.decoding: list[Decoding] = []
        """By slot; what is not here is idle."""
        exact: torch.dtype = front.speech_head.weight.dtype
        self.slots = Slots(slots, front.hp.speech_tokens_dict_size, exact, self.device)
        self.llama = Llama(front.cfg, front.tfmr.norm.weight, PRECISIONS[precision] if exact.itemsize == 4 else exact)
        fuse = partial(Layer.fuse, precision=precision, device=self.device)
        first, *others = layers
        # The first one alone: Linear finds out on it what this CPU does fastest.
        self.llama.layers.append(fuse(first))
        with ThreadPoolExecutor(thread_name_prefix="fuse") as pool:
            self.llama.layers.extend(pool.map(fuse, others))
        self._graphs = graphs
        self._replays: dict[tuple[int, int], Replay] = {}
        self._under_way: deque[tuple[Callable[[], list[int]], list[Decoding]]] = deque()
        self._lag = 0
        if self.device.type == "cuda":
            self._lag = LAG
            self.llama.reserve(2 * slots, POSITIONS)  # at once, for graphs know where it lies

    @torch.inference_mode()
    def admit(
        self, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams, generator: torch.Generator
    ) -> Decoding:
        """Read a prompt into a free slot. text_tokens: (S,) int64.

        Raises InvalidText where it is longer than the cache. There must be a free slot.
        """
        slot = self._free_slot()
        prompt = embed_prompt(self.front, text_tokens, voice, params)  # (R, P, 1024)
        position = prompt.size(1) - 1
        limit = min(params.max_tokens, POSITIONS - position - LAG)
        if limit < 1:
            message = f"The text makes {len(text_tokens)} tokens, too many for one sentence."
            raise InvalidText(message, code="text_too_long", param="text")
        self._prefill(prompt, slot)
        self.slots.begin(slot, position, params)
        take = Decoding(slot, position, limit, generator)
        self.decoding.append(take)
        return take

    @torch.inference_mode()
    def step(self) -> None:
        """Advance every take by one token. On CUDA their `tokens` follow a few steps later."""
        if not self.decoding:
            return
        count = rounded_up(len(self.decoding))
        longest = max(take.position for take in self.decoding) + 1
        for take in self.decoding:
            self.slots.race[take.slot].exponential_(1, generator=take.generator)
        self._replay(count, longest)()
        for take in self.decoding:
            take.position += 1
        self._under_way.append((self._reading(count), list(self.decoding)))
        while len(self._under_way) > self._lag:
            read, takes = self._under_way.popleft()
            for take, token in zip(takes, read(), strict=False):
                take.hear(token)
            if any(take.failed for take in takes):
                # It may have left its slot, or moved, before that was known.
                self.llama.forget(slice(rows(len(self.decoding)).start, None))

    @torch.inference_mode()
    def pause(self, take: Decoding) -> None:
        """Set a take aside, which frees its slot as `retire` does. Its tokens that are under way still reach it."""
        take.saved = Saved(self.slots.save(take.slot), self.llama.save(rows(take.slot), take.position))
        self._leave(take)

    @torch.inference_mode()
    def resume(self, take: Decoding) -> None:
        """Go on with a paused take, in another slot maybe. There must be a free one."""
        if take.saved is None:
            raise RuntimeError("the take is not paused")
        slot = self._free_slot()
        self._reserve(slot + 1, take.position)
        self.slots.restore(slot, take.saved.state)
        self.llama.restore(rows(slot), take.saved.cache)
        take.slot, take.saved = slot, None
        self.decoding.append(take)

    @torch.inference_mode()
    def retire(self, take: Decoding) -> None:
        """Forget a take, paused or not, wherever it is in its sentence. The last slot's take moves into its slot."""
        take.saved = None
        if take in self.decoding:
            self._leave(take)

    @torch.inference_mode()
    def decode(
        self, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams, generator: torch.Generator
    ) -> Tensor:
        """Say one take from beginning to end. text_tokens: (S,) int64.

        Returns (N,) int64 at 25 tokens a second, N <= params.max_tokens, and 0 where there is nothing to hear.
        Raises InvalidText, or SynthesisFailed.
        """
        take = self.admit(text_tokens, voice, params, generator)
        try:
            while not take.done:
                self.step()
        finally:
            self.retire(take)
        return torch.tensor(take.speech(), dtype=torch.int64, device=self.device)

    @torch.inference_mode()
    def follow(self, prompt: Tensor, tokens: Tensor) -> Tensor:
        """Feed tokens of somebody's choice, BOS first, to a model that says nothing else meanwhile.

        prompt: (2, P, 1024), as `embed_prompt` makes it, tokens: (N,) int64. Returns (N, 2, V), the logits after each.
        """
        self._prefill(prompt, 0)
        self.slots.begin(0, prompt.size(1) - 1, SynthesisParams())
        logits = []
        for index, token in enumerate(tokens):
            self.slots.token[0] = token
            self._replay(1, prompt.size(1) + index)()
            logits.append(self.slots.logits[0].clone())
        return torch.stack(logits)

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture a graph for each number of slots and each window, the largest first, for they share memory."""
        if self._graphs is None or not self._graphs.available:
            return
        for window in reversed(GRAPH_WINDOWS):
            for count in (count for count in reversed(SLOTS) if count <= self.slots.count):
                name = f"T3, {count} takes, {window} positions"
                self._replays[count, window] = self._graphs.capture(name, partial(self._advance, count, window))
        self.llama.forget(slice(None))
        self.slots.reset()

    def _free_slot(self) -> int:
        if len(self.decoding) == self.slots.count:
            raise RuntimeError(f"all {self.slots.count} slots decode")
        return len(self.decoding)

    def _leave(self, take: Decoding) -> None:
        if take.failed:
            self.llama.forget(rows(take.slot))
        last = self.decoding.pop()
        if last is not take:
            self.llama.move(rows(last.slot), rows(take.slot), last.position)
            self.slots.move(last.slot, take.slot)
            last.slot = take.slot
            self.decoding[take.slot] = last

    def _prefill(self, prompt: Tensor, slot: int) -> None:
        self._reserve(slot + 1, prompt.size(1))
        # The last position, the second BOS, is the first step's.
        self.llama.prefill(prompt[:, :-1].to(self.llama.dtype, copy=True), rows(slot).start)

    def _advance(self, count: int, window: int) -> None:
        """Advance the first slots by one token: tensors that stay where they are in, the same out.

        Idle slots among them are computed like the others, and nobody listens.
        """
        slots, speech = self.slots, self.front.speech_pos_emb.emb
        token, said, position = slots.token[:count], slots.said[:count], slots.position[:count]
        x = self.front.speech_emb.weight[token] + speech.weight[said]  # (S, 1024)
        x = x[:, None].repeat(1, 2, 1).flatten(0, 1).to(self.llama.dtype)  # (2 S, 1024)
        positions = position.clamp(max=self.llama.positions - 1)[:, None].expand(-1, 2).flatten()  # (2 S,)
        hidden = self.llama.step(x, positions, window)
        logits = self.front.speech_head(hidden.to(slots.logits.dtype)).view(count, 2, -1)  # (S, 2, V)
        slots.logits[:count] = logits
        knobs, seen = slots.knobs.first(count), slots.seen[:count]
        drawn = draw(probabilities(guide(logits, knobs.cfg_weight), seen, knobs), slots.race[:count])  # (S,)
        slots.drawn[:count] = drawn
        token.copy_(drawn.clamp(min=0))
        seen.scatter_(1, token[:, None], True)
        said.add_(1).clamp_(max=speech.num_embeddings - 1)
        position.add_(1)

    def _replay(self, count: int, longest: int) -> Replay:
        """Choose what advances so many slots, the longest of which fills `longest` positions."""
        window = next(window for window in GRAPH_WINDOWS if window >= longest)
        if (count, window) in self._replays:
            return self._replays[count, window]
        self._reserve(count, window)
        return partial(self._advance, count, min(window, -(-longest // EAGER_WINDOW) * EAGER_WINDOW))

    def _reserve(self, slots: int, positions: int) -> None:
        self.llama.reserve(2 * rounded_up(slots), next(window for window in GRAPH_WINDOWS if window >= positions))

    def _reading(self, count: int) -> Callable[[], list[int]]:
        """Start bringing the drawn tokens here. The result waits for them, and for no step that came after."""
        drawn = self.slots.drawn[:count]
        if self.device.type != "cuda":
            return partial(list, drawn.tolist())
        here = torch.empty(count, dtype=torch.int64, pin_memory=True)
        here.copy_(drawn, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()

        def read() -> list[int]:
            arrived.synchronize()
            return here.tolist()

        return read
