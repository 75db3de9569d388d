"""A dress rehearsal for CUDA on a machine without a GPU: the engine on fake tensors whose device is cuda:0.

    with Rehearsal("bf16") as rehearsal:
        t3 = rehearsal.load_t3(layers=30)
        operations = rehearsal.record(t3.step)

FakeTensors know shape, type and device, and no contents: a CUDA build of PyTorch computes those for CUDA kernels
without a driver. So this shows which operations run, on which devices, how much they read and write, and where the host
waits. It shows neither numbers nor times: nothing of it runs on a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from benchmarks.rehearsal.operation import Operation
from benchmarks.rehearsal.recorder import Recorder
from benchmarks.rehearsal.stubs import Device, Generator
from monica.engine.torch import graphs as graphs_module
from monica.engine.torch.graphs import Graphs

if TYPE_CHECKING:
    from monica.engine.chatterbox.checkpoint import Checkpoint
    from monica.engine.chatterbox.conditionals import Conditionals
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.s3gen import Token2Wav
    from monica.engine.chatterbox.t3 import T3

CUDA = torch.device("cuda:0")


class Rehearsal:
    """The engine, or parts of it, on a device that does not exist. A context manager, for one thread at a time.

    precision: `bf16` or `fp32`.
    """

    def __init__(self, precision: str = "bf16") -> None:
        self.precision = precision
        self.recorder = Recorder()
        self.device = Device(self.recorder)
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._patches = ExitStack()
        self._modes = ExitStack()

    def __enter__(self) -> Rehearsal:
        self._enter_patches()
        self._modes.enter_context(self.modes())
        return self

    def __exit__(self, *_: object) -> None:
        self._modes.close()
        self._patches.close()

    @contextmanager
    def modes(self) -> Iterator[None]:
        """Make operations of this thread part of the rehearsal, too.

        Modes belong to a thread, the stand-ins for torch.cuda to the process.
        """
        with self._fake, self.recorder:
            yield

    def record(self, work: Callable[[], object]) -> list[Operation]:
        """Run something. Returns the operations it ran; those of a replayed graph as if they ran one by one."""
        operations: list[Operation] = []
        before, self.recorder.operations = self.recorder.operations, operations
        try:
            work()
        finally:
            self.recorder.operations = before
        return operations

    @property
    def graphs(self) -> dict[str, list[Operation]]:
        """The operations of each captured graph, by its name."""
        return self.device.graphs

    def load(self, checkpoint: Checkpoint) -> Model:
        """Load a checkpoint as on CUDA: warm-up, captures and self-test included."""
        from safetensors.torch import load_file

        from monica.engine.chatterbox import weights
        from monica.engine.chatterbox.model import Model

        with patch.object(weights, "load_file", _real(load_file)):
            return Model(checkpoint, device="cuda", precision=self.precision, language="fr")

    def load_t3(self, layers: int = 30, slots: int = 8, *, warm_up: bool = True) -> T3:
        """Load a T3 whose weights have shapes and no contents: no file is needed."""
        from monica.engine.chatterbox import weights
        from monica.engine.chatterbox.t3 import T3

        front = weights.build_t3(0)
        front.tfmr.rotary_emb = type(front.tfmr.rotary_emb)(front.cfg)
        shapes = weights.build_t3(1).tfmr.layers[0].state_dict()
        states = [{name: torch.empty(shape.shape) for name, shape in shapes.items()} for _ in range(layers)]
        t3 = T3(_without_contents(front).to(CUDA), states, precision=self.precision, graphs=self._graphs(), slots=slots)
        if warm_up:
            t3.warm_up()
        return t3

    def load_token2wav(self, *, warm_up: bool = True) -> Token2Wav:
        """Load an S3Gen whose weights have shapes and no contents."""
        from monica.engine.chatterbox import weights
        from monica.engine.chatterbox.s3gen import Token2Wav

        with patch.object(weights, "read_pickle", lambda _: _contentless_state(weights.build_s3gen())):
            s3gen = weights.load_s3gen(Path("s3gen.pt"))
        token2wav = Token2Wav(s3gen.to(CUDA), precision=self.precision, graphs=self._graphs())
        if warm_up:
            token2wav.warm_up()
        return token2wav

    def voice(self, prompt_tokens: int = 250) -> Conditionals:
        """Return a voice on the device. prompt_tokens: of S3Gen's prompt, 25 a second."""
        from monica.engine.chatterbox.conditionals import Conditionals

        return Conditionals(
            speaker_embedding=torch.zeros(1, 256),
            prompt_tokens=torch.zeros(1, 150, dtype=torch.int64),
            s3gen_tokens=torch.zeros(1, prompt_tokens, dtype=torch.int64),
            s3gen_mel=torch.zeros(1, 2 * prompt_tokens, 80),
            x_vector=torch.zeros(1, 192),
        ).to(CUDA)

    def generator(self, seed: int = 0) -> torch.Generator:
        """Return a generator of the device."""
        return Generator(CUDA).manual_seed(seed)

    def _graphs(self) -> Graphs:
        return Graphs(CUDA, self.device.free)

    def _enter_patches(self) -> None:
        enter = self._patches.enter_context
        enter(warnings.catch_warnings())
        warnings.filterwarnings("ignore", r"`?torch\.backends\.cuda\.sdp_kernel\(\)`? is deprecated", FutureWarning)
        for name, replacement in self.device.patches().items():
            enter(patch.object(torch.cuda, name, replacement))
        enter(patch.object(torch, "Generator", Generator))
        enter(patch.object(torch, "load", _real(torch.load)))
        enter(patch.object(torch.backends.cuda, "cufft_plan_cache", SimpleNamespace(max_size=4096)))
        enter(_flags_restored())
        enter(patch.object(torch.nn.Module, "_apply", _apply))
        enter(patch.object(FakeTensor, "numpy", _numpy, create=True))
        enter(patch.object(ThreadPoolExecutor, "submit", _run_here))
        enter(patch.object(graphs_module, "WARM_UP_RUNS", 0))  # they would be recorded and forgotten
        enter(patch.object(Graphs, "capture", self._named(Graphs.capture)))

    def _named(self, capture: Any) -> Any:
        def named(graphs: Graphs, name: str, function: Any) -> Any:
            self.device.name = name
            return capture(graphs, name, function)

        return named


@contextmanager
def _flags_restored() -> Iterator[None]:
    """Undo afterwards what `configure_cuda` sets for the whole process."""
    matmul = torch.backends.cuda.matmul
    before = (
        torch.backends.cudnn.allow_tf32,
        matmul.allow_tf32,
        matmul.allow_bf16_reduced_precision_reduction,
        torch.backends.cuda.cudnn_sdp_enabled(),  # type: ignore[no-untyped-call]
    )
    yield
    torch.backends.cudnn.allow_tf32, matmul.allow_tf32, matmul.allow_bf16_reduced_precision_reduction, cudnn = before
    torch.backends.cuda.enable_cudnn_sdp(cudnn)


def _without_contents(module: Any) -> Any:
    """Fill a module that was built on the meta device with fake tensors of the CPU."""
    module.load_state_dict(_contentless_state(module), assign=True)
    return module.requires_grad_(False).eval()


def _contentless_state(module: Any) -> dict[str, torch.Tensor]:
    return {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in module.state_dict().items()}


def _real(function: Any) -> Any:
    """Make a function run outside the rehearsal: it reads files."""

    def outside(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return function(*args, **kwargs)

    return outside


def _apply(module: torch.nn.Module, move: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
    """Stand in for Module._apply, which swaps a parameter's tensor in place: it cannot swap a real for a fake one."""
    for part in module.modules() if recurse else [module]:
        for name, parameter in part._parameters.items():
            if parameter is not None:  # detached when it is fake: under the modes, detaching makes a fake of a real one
                part._parameters[name] = torch.nn.Parameter(move(parameter).detach(), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = move(buffer)
    return module


def _numpy(tensor: FakeTensor, *, force: bool = False) -> Any:
    """Stand in for Tensor.numpy: zeros."""
    return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def _run_here(_: ThreadPoolExecutor, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Stand in for ThreadPoolExecutor.submit: modes belong to a thread."""
    future: Future[Any] = Future()
    future.set_result(function(*args, **kwargs))
    return future
