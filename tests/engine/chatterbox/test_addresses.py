"""What a captured step reads and writes stays where it was captured, whatever happens to the takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from monica.engine.chatterbox import step_graphs
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.slots import SavedSequence
from monica.engine.chatterbox.token_sequence import TokenSequence
from monica.engine.chatterbox.tokenizer import TextTokenizer

from . import efficient_attention
from .tape import Tape, TapeGraphs
from .test_graphs import WINDOWS, as_on_cuda
from .test_slots import T3Harness

EVENTS = 100


def captured_addresses(tape: Tape) -> set[int]:
    """Return the addresses of the tensors that a tape has not made itself."""
    made: set[int] = set()
    found = set()
    for _, args, kwargs, out in tape.calls:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor) and id(tensor) not in made:
                found.add(tensor.data_ptr())
        made |= {id(tensor) for tensor in tree_leaves(out)}
    return found


def tensors_of(part: Any, seen: set[int]) -> Iterator[Tensor]:
    """Yield the tensors that an object holds, directly or through others."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, nn.Module):
        yield from (*part.parameters(), *part.buffers())
    elif isinstance(part, dict):
        for value in part.values():
            yield from tensors_of(value, seen)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from tensors_of(value, seen)
    elif type(part).__module__.startswith("monica."):
        names = [*getattr(part, "__dict__", {}), *getattr(type(part), "__slots__", ())]
        for name in names:
            yield from tensors_of(getattr(part, name, None), seen)


def test_addresses_stay_through_random_events(
    make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_graphs, "WINDOWS", WINDOWS)
    graphs, choice = TapeGraphs(), random.Random(17)
    with efficient_attention.installed():
        t3 = as_on_cuda(make_t3(slots=2), graphs)
        harness = T3Harness(t3, tokenizer, voice)
        captured = set().union(*map(captured_addresses, graphs.tapes))
        running: list[TokenSequence] = []
        paused: list[tuple[TokenSequence, SavedSequence]] = []
        for number in range(EVENTS):
            event = choice.choice(("add", "step", "step", "pause", "resume", "free"))
            if event == "add" and len(running) < 2:
                running.append(harness.add(number))
            elif event == "step":
                for take in [take for take in running if take.done]:
                    running.remove(take)
                    t3.free_sequence(take)
                t3.step()
            elif event == "pause" and running:
                take = running.pop(choice.randrange(len(running)))
                paused.append((take, t3.pause_sequence(take)))
            elif event == "resume" and paused and len(running) < 2:
                take, saved = paused.pop()
                t3.resume_sequence(take, saved)
                running.append(take)
            elif event == "free" and running:
                t3.free_sequence(running.pop())
    held = {tensor.data_ptr() for tensor in tensors_of([t3.slots, t3.llama, t3.front], set())}
    assert len(graphs.replayed) > EVENTS // 10
    assert len(captured) > 10
    assert captured <= held
