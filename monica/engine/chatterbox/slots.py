"""What T3's steps read and write of each slot. It stays where it is in memory: captured graphs know its address."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monica.engine import SynthesisParams
from monica.engine.chatterbox.sampling import BOS, Knobs

SLOTS = (1, 2, 4, 8)
"""Takes that decode together; between two of these numbers, the next one's worth of rows is computed."""


class Saved(NamedTuple):
    """A take outside of any slot: what its next step reads, and nothing else."""

    state: tuple[Tensor, ...]
    """Of its slot."""
    cache: tuple[Tensor, Tensor]
    """Keys and values of its rows, as far as they are filled: (layers, 2, H, positions, 64) each."""


class Slots:
    """The state of `count` slots. V is the size of the head, dtype that of its logits."""

    def __init__(self, count: int, vocabulary: int, dtype: torch.dtype, device: torch.device) -> None:
        def per_slot(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(count, *shape, dtype=dtype, device=device)

        self.count = count
        self.token = per_slot(dtype=torch.int64)  # the last one, which the next step reads
        self.said = per_slot(dtype=torch.int64)  # tokens so far: the speech position
        self.position = per_slot(dtype=torch.int64)  # in the cache, where the next step writes
        self.drawn = per_slot(dtype=torch.int64)  # by the last step; FAILED where there were no numbers
        self.seen = per_slot(vocabulary, dtype=torch.bool)  # what the repetition penalty counts
        self.race = per_slot(vocabulary, dtype=torch.float32).fill_(1)  # the next draw's chances
        self.logits = per_slot(2, vocabulary, dtype=dtype)  # of the last step, as they came
        self.knobs = Knobs.of(count, device)

    def begin(self, slot: int, position: int, params: SynthesisParams) -> None:
        """Set a slot to speak, its prompt being in the cache up to `position`."""
        self.token[slot], self.said[slot], self.position[slot] = BOS, 0, position
        self.seen[slot] = False
        self.seen[slot, BOS] = True  # as upstream has it
        self.knobs.set(slot, params)

    def move(self, source: int, target: int) -> None:
        """Copy what the next step needs."""
        for state in self._needed:
            state[target] = state[source]

    def save(self, slot: int) -> tuple[Tensor, ...]:
        """Return a copy of what the next step needs."""
        return tuple(state[slot].clone() for state in self._needed)

    def restore(self, slot: int, saved: tuple[Tensor, ...]) -> None:
        """Make a slot what another was when it was saved."""
        for state, kept in zip(self._needed, saved, strict=True):
            state[slot] = kept

    def reset(self) -> None:
        """Forget where all slots are."""
        for state in (self.token, self.said, self.position):
            state.zero_()

    @property
    def _needed(self) -> tuple[Tensor, ...]:
        return self.token, self.said, self.position, self.seen, *self.knobs


def rows(slot: int) -> slice:
    """Return the rows of a slot in the transformer: conditional, unconditional."""
    return slice(2 * slot, 2 * slot + 2)


def rounded_up(takes: int) -> int:
    """Return how many slots are computed for so many takes."""
    return next(count for count in SLOTS if count >= takes)
