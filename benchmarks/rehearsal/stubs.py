"""What stands in for torch.cuda on a machine without a GPU: streams, events, graphs, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.rehearsal.operation import Operation
from benchmarks.rehearsal.recorder import Recorder, caller

SCALAR: tuple[Any, ...] = ()


class Stream:
    """A stream. `Device.current` is the one that work goes to."""

    def __init__(self, *_: object, **__: object) -> None:
        self.waited_for: list[object] = []

    def wait_stream(self, other: object) -> None:
        self.waited_for.append(other)


class Device:
    """The state of a CUDA device that captures depend on, with the functions of torch.cuda that change it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.properties = SimpleNamespace(is_integrated=False, total_memory=128 * 2**30, name="a rehearsal")
        self.free = 96 * 2**30
        """Bytes: enough for eight takes and all graphs."""
        self.graph_bytes = 0
        """What the driver takes for each graph."""
        self.fail_capture: Callable[[int], Exception | None] = lambda _: None
        """Decides for the n-th capture, from 0, whether it is found invalid when it ends, and by which error."""
        self.memory_fraction = 1.0
        self.default = Stream()
        self.current: Any = self.default
        self.graphs: dict[str, list[Operation]] = {}
        """The operations of each captured graph, by its name."""
        self.replays: list[str] = []
        """The names of the graphs that were replayed, in order."""
        self.name = ""
        """Of the function that is being captured."""
        self.captures = 0

    def patches(self) -> dict[str, Any]:
        """Return what replaces the attributes of torch.cuda, by name."""
        device = self

        class Graph:
            def __init__(self) -> None:
                self.name = device.name

            def replay(self) -> None:
                device.replay(self.name)

        class Event:
            def __init__(self, *, blocking: bool = False, **_: object) -> None:
                self.blocking = blocking

            def record(self, *_: object) -> None: ...

            def synchronize(self) -> None:
                wait = "event" if self.blocking else "spinning event"
                device.recorder.note(Operation("event", SCALAR, SCALAR, launches=False, wait=wait, where=caller()))

        class Capture:
            """As torch.cuda.graph: if ending the capture raises, the stream's context is not left."""

            def __init__(self, graph: Graph, *, pool: object, stream: Stream, capture_error_mode: str) -> None:
                self.graph, self.stream = graph, stream

            def __enter__(self) -> None:
                self.previous, device.current = device.current, self.stream
                device.begin_capture(self.graph.name)

            def __exit__(self, *_: object) -> None:
                device.end_capture()
                device.current = self.previous

        return {
            "Stream": Stream,
            "Event": Event,
            "CUDAGraph": Graph,
            "graph": Capture,
            "graph_pool_handle": lambda: (0, 1),
            "current_stream": lambda *_: self.current,
            "default_stream": lambda *_: self.default,
            "set_stream": self.set_stream,
            "stream": self.stream,
            "memory_reserved": lambda *_: 0,
            "mem_get_info": lambda *_: (self.free, self.properties.total_memory),
            "set_per_process_memory_fraction": self.set_memory_fraction,
            "get_device_properties": lambda *_: self.properties,
            "current_device": lambda: 0,
            "synchronize": lambda *_: None,
            "empty_cache": lambda: None,
        }

    def set_memory_fraction(self, fraction: float, *_: object) -> None:
        self.memory_fraction = fraction

    def set_stream(self, stream: Any) -> None:
        self.current = stream

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        previous, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = previous

    def begin_capture(self, name: str) -> None:
        self._outer, self.recorder.operations = self.recorder.operations, []
        self.recorder.graph = name

    def end_capture(self) -> None:
        operations, self.recorder.operations = self.recorder.operations, self._outer
        self.recorder.graph = None
        number, self.captures = self.captures, self.captures + 1
        self.free -= self.graph_bytes
        if (error := self.fail_capture(number)) is not None:
            raise error
        self.graphs[self.name] = operations or []

    def replay(self, name: str) -> None:
        self.replays.append(name)
        for operation in self.graphs[name]:
            self.recorder.note(operation)


class Generator(torch.Generator):
    """A generator of the CPU that says it is of the device it was made for."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        generator: Generator = super().__new__(cls, "cpu")  # type: ignore[call-arg]
        generator.place = torch.device(device)
        return generator

    place: torch.device

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place
