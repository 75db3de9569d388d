"""The whole engine on CUDA, without a GPU: no operand on the wrong device, no wait that is not known."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from benchmarks.rehearsal import Rehearsal
from monica.errors import ConfigError, ModelUnavailable

from .conftest import STREAM, TAKE, Performance

STEPS = 100
WAITS: dict[str, dict[str, int]] = {
    "voice": {"upload": 5, "read": 7},  # its tensors, and the check of their contents
    "begin": {"upload": 1},  # the text
    "begin without guidance": {"upload": 1},
    "step": {"event": 1},  # the tokens of an earlier step
    "pause": {},
    "resume": {},
    # The tokens; whether the samples are finite, and the samples themselves.
    "take": {"event": TAKE + 2 - 4, "upload": 1, "read": 2},
    # The ids of the voice's prompt, once; the samples of the first hop, and those of the second in two windows.
    "stream": {"event": STREAM + 2, "upload": 1, "read": 4},
}
"""How often the host waits for the device in each event, by the kind of wait. More of them would leave the GPU idle."""


def test_no_operation_has_operands_on_two_devices(performance: Performance) -> None:
    for event, operations in performance.events.items():
        assert [(event, each.name, each.where) for each in operations if each.mixed] == []


def test_captured_functions_neither_wait_nor_read_the_host(performance: Performance) -> None:
    """A graph cannot be captured otherwise, or replays what the host had at its capture."""
    graphs = performance.rehearsal.graphs
    assert len(graphs) == performance.model.graphs.captured
    assert {name.partition(" ")[0] for name in graphs} == {"T3,", "an", "a", "the"}
    for name, operations in graphs.items():
        wrong = [each for each in operations if each.wait or each.mixed or each.copies_between_devices]
        assert [(name, each.name, each.where) for each in wrong] == []


@pytest.mark.parametrize("event", WAITS)
def test_the_host_waits_no_more_often_than_it_has_to(performance: Performance, event: str) -> None:
    waits = performance.waits(event)
    places = Counter((each.wait, each.where) for each in performance.events[event] if each.wait)
    assert waits <= Counter(WAITS[event]), places


def test_no_file_is_copied_to_the_device(performance: Performance) -> None:
    """Only what has been read into memory is: where CPU and GPU share it, a mapped file crawls, or hangs."""
    load = performance.events["load"]
    assert sum(each.wait == "upload" for each in load) > 1000
    for event in ("load", "voice", "warm-up"):
        assert [(each.name, each.where) for each in performance.events[event] if each.file_backed] == []


def test_every_step_is_a_replay(performance: Performance) -> None:
    device = performance.rehearsal.device
    device.replays.clear()
    utterance = performance.begin(TAKE)
    performance.finish(utterance)
    t3 = [name for name in device.replays if name.startswith("T3, 1 takes")]
    euler = [name for name in device.replays if name == "an Euler step of 128 frames"]
    assert (len(t3), len(euler)) == (TAKE + 2, 2)


def test_captured_in_one_thread_and_replayed_in_another(performance: Performance) -> None:
    """The other thread captures nothing, and runs the same operations."""
    captured = performance.model.graphs.captured
    expected, found = [], []

    def speak() -> None:
        found.extend(performance.rehearsal.record(lambda: performance.finish(performance.begin(TAKE))))

    def elsewhere() -> None:
        with performance.rehearsal.modes():
            speak()

    speak()
    expected, found = found, []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert performance.model.graphs.captured == captured
    assert [each.name for each in found] == [each.name for each in expected]


@pytest.mark.parametrize("number", [0, 6])
def test_a_load_whose_capture_fails_ends_with_a_clear_error(number: int) -> None:
    """The first, or the seventh. A load that is tried again succeeds."""
    with Rehearsal() as rehearsal:
        rehearsal.device.fail_capture = lambda count: RuntimeError("no such graph") if count == number else None
        with pytest.raises(ConfigError, match=r"The CUDA graph of T3, .* cannot be captured: no such graph\."):
            rehearsal.load_t3(layers=1)
        assert rehearsal.device.current is rehearsal.device.default
        rehearsal.device.captures = 0
        rehearsal.device.fail_capture = lambda count: MemoryError("no memory") if count == number else None
        with pytest.raises(ModelUnavailable, match=r"not enough memory for the CUDA graph of T3, .*: no memory\."):
            rehearsal.load_t3(layers=1)
        rehearsal.device.fail_capture = lambda _: None
        assert len(list(rehearsal.load_t3(layers=1).captured_steps())) > number
