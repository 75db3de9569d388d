"""What T3's steps read and write of each slot. The tensors stay in place: captured graphs hold their addresses."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monica.engine import SynthesisParams
from monica.engine.chatterbox.sampling import BOS, SamplingTensors

SLOTS = (1, 2, 4, 8)
"""How many takes can decode together. For a number in between, the rows of the next larger one are computed."""


class SavedSequence(NamedTuple):
    """What the next step of a sequence reads, copied out of its slot, and nothing else."""

    state: tuple[Tensor, ...]
    """The slot's tensors, see `Slots.save_slot`."""
    cache: tuple[Tensor, Tensor]
    """Keys and values of the slot's rows, as far as they are filled: (layers, 2, H, positions, 64) each."""


class Slots:
    """The state of `count` slots. V is the size of the head, dtype that of its logits."""

    def __init__(self, count: int, vocabulary: int, dtype: torch.dtype, device: torch.device) -> None:
        def per_slot(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(count, *shape, dtype=dtype, device=device)

        self.count = count
        self.input_token = per_slot(dtype=torch.int64)  # the last one generated, which the next step reads
        self.num_generated = per_slot(dtype=torch.int64)  # tokens so far: the speech position
        self.position = per_slot(dtype=torch.int64)  # in the cache, where the next step writes
        self.next_token = per_slot(dtype=torch.int64)  # drawn by the last step; FAILED if its logits were not finite
        self.generated_mask = per_slot(vocabulary, dtype=torch.bool)  # tokens subject to the repetition penalty
        self.exponential_noise = per_slot(vocabulary, dtype=torch.float32).fill_(1)  # for the next draw
        self.logits = per_slot(2, vocabulary, dtype=dtype)  # of the last step, unprocessed
        self.params = SamplingTensors.allocate(count, device)

    def init_slot(self, slot: int, position: int, params: SynthesisParams) -> None:
        """Prepare a slot for a new sequence, whose prompt is in the cache up to `position`."""
        self.input_token[slot], self.num_generated[slot], self.position[slot] = BOS, 0, position
        self.generated_mask[slot] = False
        self.generated_mask[slot, BOS] = True  # as upstream has it
        self.params.set_slot(slot, params)

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
        """Set the token and the positions of all slots to 0."""
        for state in (self.input_token, self.num_generated, self.position):
            state.zero_()

    @property
    def _step_state(self) -> tuple[Tensor, ...]:
        return self.input_token, self.num_generated, self.position, self.generated_mask, *self.params


def slot_rows(slot: int) -> slice:
    """Return the rows of a slot in the transformer: conditional, unconditional."""
    return slice(2 * slot, 2 * slot + 2)


def computed_slots(takes: int) -> int:
    """Return how many slots a step computes for this many takes."""
    return next(count for count in SLOTS if count >= takes)
