"""What a step of T3 costs on CUDA, counted on fake tensors: kernels, waits, and bytes of the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

from benchmarks.cuda_model import ideal_bytes, lengths_of
from benchmarks.rehearsal import CUDA, Rehearsal
from benchmarks.rehearsal.cost import moved
from benchmarks.rehearsal.operation import Operation
from monica.engine import SynthesisParams
from monica.engine.chatterbox.slots import computed_slots
from monica.engine.chatterbox.step_graphs import Step

LAYERS = 30


class Recorded(NamedTuple):
    graphs: dict[str, list[Operation]]
    events: dict[str, list[Operation]]
    """What each event in the life of a take launches, by its name."""


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """A T3 of one layer, and what happens to its takes."""
    events: dict[str, list[Operation]] = {}
    with Rehearsal("bf16") as rehearsal:
        t3 = rehearsal.load_t3(layers=1)
        voice, text = rehearsal.voice(), torch.zeros(20, dtype=torch.int64, device=CUDA)

        def record(name: str, work: Callable[[], Any]) -> Any:
            results: list[Any] = []
            events[name] = rehearsal.record(lambda: results.append(work()))
            return results[0]

        def admit(cfg_weight: float) -> Any:
            params = SynthesisParams(cfg_weight=cfg_weight)
            return record(
                f"admission, guidance {cfg_weight}",
                lambda: t3.add_sequence(text, voice, params, rehearsal.generator()),
            )

        takes = [admit(0.5), admit(0.0)]
        for number in range(4):  # from the third on, tokens are read
            record(f"step {number}", t3.step)
        saved = record("pause", lambda: t3.pause_sequence(takes[0]))
        record("resume", lambda: t3.resume_sequence(takes[0], saved))
        record("end", lambda: t3.free_sequence(takes[0]))
    return Recorded(dict(rehearsal.graphs), events)


def kernels(operations: list[Operation]) -> int:
    return sum(operation.launches for operation in operations)


def in_layers(operations: list[Operation]) -> list[Operation]:
    """Return what a layer launches: all between its first norm and the last one's."""
    norms = [index for index, operation in enumerate(operations) if operation.name == "_fused_rms_norm"]
    return operations[norms[0] : norms[-1]]


def test_only_reading_tokens_waits_for_the_device(recorded: Recorded) -> None:
    """Nothing is copied from the host when a take is admitted, which would wait for all queued work."""
    waits = {name: [operation.wait for operation in each if operation.wait] for name, each in recorded.events.items()}
    assert {name for name, found in waits.items() if found} == {"step 2", "step 3"}
    assert waits["step 2"] == waits["step 3"] == ["event"]  # which sleeps, not spins


def test_nothing_meets_an_operand_of_the_other_device(recorded: Recorded) -> None:
    everything = [
        operation for each in (recorded.graphs, recorded.events) for found in each.values() for operation in found
    ]
    assert not [operation for operation in everything if operation.mixed]
    assert not [
        operation for each in recorded.graphs.values() for operation in each if operation.copies_between_devices
    ]


@pytest.mark.parametrize(("top_p", "most"), [(False, 376), (True, 384)])
@pytest.mark.parametrize("slots", [1, 8])
def test_a_step_launches_few_kernels(recorded: Recorded, slots: int, top_p: bool, most: int) -> None:
    """A ratchet. 400 are the limit for the whole of T3."""
    operations = recorded.graphs[str(Step(slots, None, top_p))]
    layer = kernels(in_layers(operations))
    assert layer == 11
    assert kernels(operations) + (LAYERS - 1) * layer <= most


@pytest.mark.parametrize("takes", [1, 4, 5, 8])
def test_takes_of_mixed_lengths_move_little_more_than_they_must(recorded: Recorded, takes: int) -> None:
    """Everything is counted, activations too. At most 1.15 times the weights and what the takes have filled."""
    slots = computed_slots(takes)
    operations = recorded.graphs[str(Step(slots, None, top_p=False))]
    cached = 2 * (sum(lengths_of(takes)) + slots - takes)

    def bytes_of(part: list[Operation]) -> int:
        return sum(moved(operation, cached) for operation in part if operation.launches)

    whole = bytes_of(operations) + (LAYERS - 1) * bytes_of(in_layers(operations))
    assert ideal_bytes(takes) < whole <= 1.15 * ideal_bytes(takes)


def test_attention_is_told_the_lengths_and_reads_no_window(recorded: Recorded) -> None:
    for name, operations in recorded.graphs.items():
        attention = [operation for operation in operations if operation.name == "_efficient_attention_forward"]
        assert len(attention) == 1, name
        slots = int(name.split()[1])
        assert attention[0].inputs[-1].shape == (2 * slots,)
        assert attention[0].inputs[-1].dtype == torch.int32
        assert not [
            operation for operation in operations if "attention" in operation.name and operation not in attention
        ]


def test_keys_and_values_are_written_at_once(recorded: Recorded) -> None:
    for operations in recorded.graphs.values():
        writes = [operation for operation in operations if operation.name == "index_put_"]
        assert len(writes) == 1
        assert writes[0].inputs[-1].shape[1:] == (32, 64)


def test_only_steps_for_top_p_sort(recorded: Recorded) -> None:
    for name, operations in recorded.graphs.items():
        assert ("sort" in [operation.name for operation in operations]) == ("no top-p" not in name), name
