"""T3: text tokens and a voice in, speech tokens out; several takes side by side, joining and leaving between steps.

It installs no hooks, keeps nothing of a take that has left, and draws only from each take's own generator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from monica.engine import SynthesisParams
from monica.engine.chatterbox.attention import lengths_are_respected
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.llama import POSITIONS, Layer, Llama
from monica.engine.chatterbox.prompt import embed_prompt
from monica.engine.chatterbox.sampling import guide, needs_top_p, probabilities, sample_token
from monica.engine.chatterbox.slots import SLOTS, SavedSequence, Slots, computed_slots, slot_rows
from monica.engine.chatterbox.step_graphs import Step, StepGraphs
from monica.engine.chatterbox.token_sequence import TokenSequence
from monica.engine.torch.graphs import Graphs, Replay
from monica.engine.torch.linear import PRECISIONS
from monica.errors import InvalidText

EAGER_WINDOW = 64
"""Without a captured graph, the window is rounded up to a multiple of this."""
CACHE_SIZES = (256, 512, 1024, 2048, POSITIONS)
"""Lengths the cache has off CUDA, where it grows with the takes."""
LAG = 2
"""Steps in flight on CUDA before the oldest one's tokens are read, so that the device never waits for the host."""


def affordable_slots(config: LlamaConfig, layers: int, precision: str, budget: int) -> int:
    """Return how many takes fit a cache of `budget` bytes; at least one."""
    positions = 2 * 2 * POSITIONS * layers  # keys and values of two rows
    each = positions * config.hidden_size * PRECISIONS[precision].itemsize
    return max((slots for slots in SLOTS if slots * each <= budget), default=SLOTS[0])


class T3:
    """The model, and the slots its takes decode in. For one thread.

    front: upstream's T3 without its transformer's layers, in float32, on the device: embeddings, conditioning, head.
    layers: the state of each layer; copied one by one.
    precision: `fp32`, `bf16` or `int8`, of the transformer; embeddings, logits and sampling stay in float32.
    graphs: captures steps on CUDA. slots: how many takes may decode at once.
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
        self.running: list[TokenSequence] = []
        """The sequences that have a slot, in the order of their slots."""
        exact: torch.dtype = front.speech_head.weight.dtype
        self.slots = Slots(slots, front.hp.speech_tokens_dict_size, exact, self.device)
        self.llama = Llama(front.cfg, front.tfmr.norm.weight, PRECISIONS[precision] if exact.itemsize == 4 else exact)
        fuse = partial(Layer.fuse, precision=precision, device=self.device)
        first, *others = layers
        # The first one by itself: on it, Linear finds out what this CPU does fastest.
        self.llama.layers.append(fuse(first))
        with ThreadPoolExecutor(thread_name_prefix="fuse") as pool:
            self.llama.layers.extend(pool.map(fuse, others))
        self._in_flight: deque[tuple[Callable[[], list[int]], list[TokenSequence]]] = deque()
        self._lag = 0
        self.by_length = False
        """Whether attention reads each row's length from the device, rather than a window of the cache."""
        if self.device.type == "cuda":
            self._lag = LAG
            self.llama.reserve_cache(2 * slots, POSITIONS)  # all of it at once: graphs hold its address
            self.by_length = lengths_are_respected(self.device, self.llama.dtype)
        self.graphs = StepGraphs(graphs, slots, by_length=self.by_length)

    @torch.inference_mode()
    def add_sequence(
        self, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams, generator: torch.Generator
    ) -> TokenSequence:
        """Prefill the prompt of a take into a free slot. text_tokens: (S,) int64.

        There must be a free slot. Raises InvalidText if the prompt is longer than the cache.
        """
        slot = self._free_slot()
        prompt = embed_prompt(self.front, text_tokens, voice, params)  # (R, P, 1024)
        position = prompt.size(1) - 1
        max_tokens = min(params.max_tokens, POSITIONS - position - LAG)
        if max_tokens < 1:
            message = f"The text makes {len(text_tokens)} tokens, too many for one sentence."
            raise InvalidText(message, code="text_too_long", param="text")
        self._prefill(prompt, slot)
        self.slots.init_slot(slot, position, params)
        sequence = TokenSequence(slot, position, max_tokens, generator, top_p=needs_top_p(params))
        self.running.append(sequence)
        return sequence

    @torch.inference_mode()
    def step(self) -> None:
        """Generate one token of every running sequence. On CUDA they reach `tokens` a few steps later."""
        if not self.running:
            return
        count = computed_slots(len(self.running))
        longest = max(sequence.position for sequence in self.running) + 1
        for sequence in self.running:
            self.slots.exponential_noise[sequence.slot].exponential_(1, generator=sequence.generator)
        self._run_step(count, longest, top_p=any(sequence.top_p for sequence in self.running))
        for sequence in self.running:
            sequence.position += 1
        self._in_flight.append((self._fetch_tokens(count), list(self.running)))
        while len(self._in_flight) > self._lag:
            read_tokens, sequences = self._in_flight.popleft()
            for sequence, token in zip(sequences, read_tokens(), strict=False):
                sequence.append_token(token)
            if any(sequence.failed for sequence in sequences):
                # It may have left its slot, or moved to another, before the failure was known.
                self.llama.clear_rows(slice(slot_rows(len(self.running)).start, None))

    @torch.inference_mode()
    def pause_sequence(self, sequence: TokenSequence) -> SavedSequence:
        """Free a sequence's slot. Returns what `resume_sequence` needs. Its tokens in flight still reach it."""
        saved = SavedSequence(
            self.slots.save_slot(sequence.slot), self.llama.save_rows(slot_rows(sequence.slot), sequence.position)
        )
        self._release_slot(sequence)
        return saved

    @torch.inference_mode()
    def resume_sequence(self, sequence: TokenSequence, saved: SavedSequence) -> None:
        """Continue a paused sequence, possibly in another slot. There must be a free one."""
        if sequence in self.running:
            raise RuntimeError("the sequence is not paused")
        slot = self._free_slot()
        self._reserve_cache(slot + 1, sequence.position)
        self.slots.restore_slot(slot, saved.state)
        self.llama.restore_rows(slot_rows(slot), saved.cache)
        sequence.slot = slot
        self.running.append(sequence)

    @torch.inference_mode()
    def free_sequence(self, sequence: TokenSequence) -> None:
        """Free a sequence's slot, if it has one, at any step. The last slot's sequence moves into it."""
        if sequence in self.running:
            self._release_slot(sequence)

    @torch.inference_mode()
    def teacher_forced_logits(self, prompt: Tensor, tokens: Tensor) -> Tensor:
        """Feed given tokens, BOS first, to a model that runs no take meanwhile.

        prompt: (2, P, 1024), from `embed_prompt`. tokens: (N,) int64. Returns (N, 2, V), the logits after each token.
        """
        self._prefill(prompt, 0)
        self.slots.init_slot(0, prompt.size(1) - 1, SynthesisParams())
        logits = []
        for index, token in enumerate(tokens):
            self.slots.input_token[0] = token
            self._run_step(1, prompt.size(1) + index, top_p=False)
            logits.append(self.slots.logits[0].clone())
        self.slots.free_slot(0)
        return torch.stack(logits)

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture the steps, if there are graphs. No take may be running."""
        self.graphs.capture(self._forward)
        self.llama.clear_rows(slice(None))
        self.slots.reset_counters()

    def captured_steps(self) -> Iterator[tuple[str, int, int, Replay]]:
        """Yield each captured step: its name, how many slots and positions it covers, and what replays it."""
        for step, replay in self.graphs.replays.items():
            yield str(step), step.slots, step.window or self.llama.positions, replay

    def _free_slot(self) -> int:
        if len(self.running) == self.slots.count:
            raise RuntimeError(f"all {self.slots.count} slots are in use")
        return len(self.running)

    def _release_slot(self, sequence: TokenSequence) -> None:
        if sequence.failed:
            self.llama.clear_rows(slot_rows(sequence.slot))
        last = self.running.pop()
        if last is not sequence:
            self.llama.move_rows(slot_rows(last.slot), slot_rows(sequence.slot), last.position)
            self.slots.move_slot(last.slot, sequence.slot)
            last.slot = sequence.slot
            self.running[sequence.slot] = last
        self.slots.free_slot(len(self.running))

    def _prefill(self, prompt: Tensor, slot: int) -> None:
        self._reserve_cache(slot + 1, prompt.size(1))
        # Without the last position: the second BOS belongs to the first step.
        self.llama.prefill(prompt[:, :-1].to(self.llama.dtype, copy=True), slot_rows(slot).start)

    def _run_step(self, count: int, longest: int, *, top_p: bool) -> None:
        """Advance the first `count` slots, by a captured graph if there is one.

        longest: the most positions that any of them fills. top_p: whether any of them needs top-p.
        """
        if longest > POSITIONS:  # past the end of the cache a GPU would fail for good
            raise RuntimeError("a take that has ended was not freed")
        replay = self.graphs.find(count, longest, top_p=top_p)
        if replay is not None:
            replay()
            return
        self._reserve_cache(count, longest)
        window = None if self.by_length else min(self.llama.positions, -(-longest // EAGER_WINDOW) * EAGER_WINDOW)
        self._forward(Step(count, window, top_p))

    def _forward(self, step: Step) -> None:
        """Advance the first slots by one token. It reads and writes only tensors that stay in place.

        Idle slots among them are computed like the others, and their results are ignored.
        """
        slots, count, speech = self.slots, step.slots, self.front.speech_pos_emb.emb
        token, position = slots.input_token[:count], slots.position[:count]
        embed = self.front.speech_emb.weight[token] + speech.weight[slots.num_generated[:count]]  # (S, 1024)
        x = torch.empty(count, 2, embed.size(-1), dtype=self.llama.dtype, device=self.device)
        x = x.copy_(embed[:, None]).flatten(0, 1)  # (2 S, 1024)
        hidden = self.llama.step(x, position[:, None].expand(-1, 2).flatten(), step.window)
        logits = self.front.speech_head(hidden.to(slots.logits.dtype)).view(count, 2, -1)  # (S, 2, V)
        slots.logits[:count] = logits
        params, generated_mask = slots.params.first_slots(count), slots.generated_mask[:count]
        probs = probabilities(guide(logits, params.cfg_weight), generated_mask, params, top_p=step.top_p)
        next_token = sample_token(probs, slots.exponential_noise[:count])  # (S,)
        slots.next_token[:count] = next_token
        torch.clamp(next_token, min=0, out=token)
        generated_mask.scatter_(1, token[:, None], True)
        slots.counters[:, :count].add_(slots.in_use[:count])

    def _reserve_cache(self, slots: int, positions: int) -> None:
        size = next(size for size in CACHE_SIZES if size >= positions)
        self.llama.reserve_cache(2 * computed_slots(slots), size)

    def _fetch_tokens(self, count: int) -> Callable[[], list[int]]:
        """Start copying the step's tokens to the host. Calling the result waits for that step and for no later one."""
        tokens = self.slots.next_token[:count]
        if self.device.type != "cuda":
            return partial(list, tokens.tolist())
        on_host = torch.empty(count, dtype=torch.int64, pin_memory=True)
        on_host.copy_(tokens, non_blocking=True)
        # Blocking: otherwise waiting for it would keep a core busy, which on some GPUs shares its power with them.
        copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        copied.record()

        def read_tokens() -> list[int]:
            copied.synchronize()
            return on_host.tolist()

        return read_tokens
