"""What T3's steps read and write of each slot. The tensors stay in place: captured graphs hold their addresses."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monica.engine import SynthesisParams
from monica.engine.chatterbox.sampling import BOS, SamplingTensors

SLOTS = (1, 2, 3, 4, 6, 8)
"""How many takes can decode together. For a number in between, the rows of the next larger one are computed."""


class SavedSequence(NamedTuple):
    """What the next step of a sequence reads, copied out of its slot, and nothing else."""

    state: tuple[Tensor, ...]
    """The slot's tensors, see `Slots.save_slot`."""
    cache: Tensor
    """Keys and values of the slot's rows, as far as they are filled: (layers, 2, 2 H, positions, 64)."""


class Slots:
    """The state of `count` slots. V is the size of the head, dtype that of its logits."""

    def __init__(self, count: int, vocabulary: int, dtype: torch.dtype, device: torch.device) -> None:
        def per_slot(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(count, *shape, dtype=dtype, device=device)

        self.count = count
        self.input_token = per_slot(dtype=torch.int64)  # the last one generated, which the next step reads
        self.counters = torch.zeros(2, count, dtype=torch.int64, device=device)
        self.num_generated, self.position = self.counters
        """Tokens so far, which is the speech position; and where in the cache the next step writes. (count,) each."""
        self.in_use = per_slot(dtype=torch.int64)  # 1 or 0: what a step adds to the counters
        self.next_token = per_slot(dtype=torch.int64)  # drawn by the last step; FAILED if its logits were not finite
        self.generated_mask = per_slot(vocabulary, dtype=torch.bool)  # tokens subject to the repetition penalty
        self.exponential_noise = per_slot(vocabulary, dtype=torch.float32).fill_(1)  # for the next draw
        self.logits = per_slot(2, vocabulary, dtype=dtype)  # of the last step, unprocessed
        self.params = SamplingTensors.allocate(count, device)

    def init_slot(self, slot: int, position: int, params: SynthesisParams) -> None:
        """Prepare a slot for a new sequence, whose prompt is in the cache up to `position`."""
        # `fill_` everywhere: on CUDA, assigning a number to a single element copies it from the host, and waits for
        # all work that is queued.
        self.input_token[slot].fill_(BOS)
        self.num_generated[slot].fill_(0)
        self.position[slot].fill_(position)
        self.in_use[slot].fill_(1)
        self.generated_mask[slot].fill_(False)
        self.generated_mask[slot, BOS].fill_(True)  # as upstream has it
        self.params.set_slot(slot, params)

    def free_slot(self, slot: int) -> None:
        """Let a slot rest: steps that compute it nevertheless read and write nothing but its first position."""
        for state in (self.input_token, self.num_generated, self.position, self.in_use):
            state[slot].fill_(0)

    def move_slot(self, source: int, target: int) -> None:
        """Copy what the next step needs from one slot to another."""
        for state in self._step_state:
            state[target] = state[source]

    def save_slot(self, slot: int) -> tuple[Tensor, ...]:
        """Return a copy of what the next step needs."""
        return tuple(state[slot].clone() for state in self._step_state)

    def restore_slot(self, slot: int, saved: tuple[Tensor, ...]) -> None:
        """Put back what `save_slot` returned, into any slot."""
        for state, kept in zip(self._step_state, saved, strict=True):
            state[slot] = kept

    def reset_counters(self) -> None:
        """Set the token and the counters of all slots to 0. None of them is in use."""
        for state in (self.input_token, self.counters, self.in_use):
            state.zero_()

    @property
    def _step_state(self) -> tuple[Tensor, ...]:
        return self.input_token, self.num_generated, self.position, self.in_use, self.generated_mask, *self.params


def slot_rows(slot: int) -> slice:
    """Return the rows of a slot in the transformer: conditional, unconditional."""
    return slice(2 * slot, 2 * slot + 2)


def computed_slots(takes: int) -> int:
    """Return how many slots a step computes for this many takes."""
    return next(count for count in SLOTS if count >= takes)
