"""Upstream's modules, built on the meta device and filled from a checkpoint: no tensor is initialised twice.

What a state dict does not hold (non-persistent buffers, plain tensor attributes) is computed here. A tensor left
without data is an error, never a silent zero.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from chatterbox.models.s3gen import S3GEN_SR, S3Gen
from chatterbox.models.t3 import T3
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.models.voice_encoder import VoiceEncoder
from s3tokenizer.model_v2 import precompute_freqs_cis
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from monica.engine.torch.linear import PRECISIONS
from monica.errors import ConfigError, ModelUnavailable

MAPPED_FROM = 64 * 2**20
"""Size in bytes from which a file is mapped into memory. Smaller ones are read."""
UPSTREAM_LOGS = ("input frame rate", "Reference mel length")
"""Beginnings of upstream's messages on the root logger: how it was built, and that it crops a prompt to 40 ms steps."""


class Uninitialised(TorchFunctionMode):
    """Makes initialisers do nothing. In modules that will be filled anyway, they are most of the cost of building."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_") or func in vars(nn.init).values():
            return next(iter((*args, *(kwargs or {}).values())))
        return func(*args, **(kwargs or {}))


def build_t3(layers: int) -> Any:
    """Build T3 with its first `layers` layers, on the meta device."""
    with torch.device("meta"), Uninitialised():
        t3 = T3(T3Config.multilingual())
    t3.tfmr.layers = t3.tfmr.layers[:layers]
    t3.cfg.num_hidden_layers = layers
    return t3


def build_s3gen(*, meanflow: bool = False) -> Any:
    """Build S3Gen on the meta device. meanflow: with the distilled decoder of Chatterbox Turbo."""
    with torch.device("meta"), Uninitialised(), quiet_upstream():
        return S3Gen(meanflow=meanflow)


def build_voice_encoder() -> Any:
    """Build the voice encoder on the meta device."""
    with torch.device("meta"), Uninitialised():
        return VoiceEncoder()


def load_t3(path: Path) -> tuple[Any, list[dict[str, Tensor]]]:
    """Load T3 in float32 from a memory map.

    Returns upstream's module without its transformer's layers, and the state of each layer in the file.
    """
    state = read_safetensors(path)
    _refuse_damaged(state, path)
    front_state: dict[str, Tensor] = {}
    layers: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if match := re.match(r"tfmr\.layers\.(\d+)\.", name):
            layers.setdefault(int(match[1]), {})[name[match.end() :]] = _float32(tensor)
        else:
            front_state[name] = tensor
    front = build_t3(0)
    for part in front.modules():
        if isinstance(getattr(part, "flash_config", None), dict):  # upstream's would turn cuDNN's attention on again
            part.flash_config["enable_cudnn"] = False
    # Rotary frequencies are not in the file. They are made on the parameters' device, not on the meta device.
    front.tfmr.rotary_emb = type(front.tfmr.rotary_emb)(front.cfg)
    expected = {name: tensor.shape for name, tensor in build_t3(1).tfmr.layers[0].state_dict().items()}
    if sorted(layers) != list(range(len(layers))) or not layers:
        raise ModelUnavailable(f"{path.name} does not fit the model: it lacks layers")
    for index, layer in layers.items():
        if {name: tensor.shape for name, tensor in layer.items()} != expected:
            raise ModelUnavailable(f"{path.name} does not fit the model: layer {index} is not one of T3's")
    return _fill(front, front_state, path), [layers[index] for index in range(len(layers))]


def load_s3gen(path: Path) -> Any:
    """Load S3Gen in float32 from a memory map: with the MeanFlow decoder if it is a safetensors file."""
    meanflow = path.suffix == ".safetensors"
    s3gen = build_s3gen(meanflow=meanflow)
    s3gen.register_buffer("trim_fade", trim_fade(), persistent=False)
    s3gen.tokenizer.encoder.freqs_cis = precompute_freqs_cis(64, 2048)
    for embed in (s3gen.flow.encoder.embed, s3gen.flow.encoder.up_embed):
        table = embed.pos_enc
        longest = table.pe.size(1) // 2 + 1
        table.pe = None
        table.extend_pe(torch.zeros(()).expand(1, longest))
    state = read_safetensors(path) if meanflow else read_pickle(path)
    _refuse_damaged(state, path)
    return _fill(s3gen, state, path)


def load_voice_encoder(path: Path) -> Any:
    """Load the voice encoder in float32."""
    state = read_pickle(path)
    _refuse_damaged(state, path)
    return _fill(build_voice_encoder(), state, path)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, memory-mapped. Raises ModelUnavailable if it cannot be read."""
    try:
        return load_file(path)
    except Exception as error:  # a guard: there is no telling what a damaged file raises
        raise _unreadable(path) from error


def read_pickle(path: Path) -> Any:
    """Read a file that torch.save wrote: tensors and containers only. A large one is mapped if its format allows.

    Raises ModelUnavailable if it cannot be read.
    """
    try:
        mapped = path.stat().st_size >= MAPPED_FROM and zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a guard: there is no telling what a damaged file raises
        raise _unreadable(path) from error


def move(module: Any, device: torch.device) -> Any:
    """Move a module's parameters and buffers to a device, those of a mapped file by way of the host's memory.

    A copy to the GPU straight from a mapped file waits for the disk page by page. Where CPU and GPU share their memory
    it has been seen to crawl at 0.1 GB/s, or to hang for good.
    """
    if device.type != "cuda":
        return module.to(device)
    return module._apply(lambda tensor: tensor.clone().to(device))


def bytes_in(layers: Sequence[Mapping[str, Tensor]], precision: str) -> int:
    """Return how many bytes T3's layers take on a GPU."""
    return PRECISIONS[precision].itemsize * sum(tensor.numel() for layer in layers for tensor in layer.values())


def trim_fade() -> Tensor:
    """Make S3Gen's fade-in: 20 ms of silence, then a raised cosine of 20 ms. It hides spill-over from the prompt."""
    half = S3GEN_SR // 50
    rise = (torch.cos(torch.linspace(torch.pi, 0, half)) + 1) / 2
    return torch.cat([torch.zeros(half), rise])


@contextmanager
def quiet_upstream() -> Iterator[None]:
    """Keep upstream's messages out of the log. Other records of the root logger pass."""
    root = logging.getLogger()

    def wanted(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(UPSTREAM_LOGS)

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)


def unfilled_tensors(module: nn.Module) -> Iterator[str]:
    """Yield the names of the tensors of a module (parameters, buffers and plain attributes) that have no data yet."""
    for prefix, part in module.named_modules():
        own = {**vars(part), **part._parameters, **part._buffers}
        for name, value in own.items():
            if isinstance(value, Tensor) and value.is_meta:
                yield f"{prefix}.{name}".lstrip(".")


def _fill(module: nn.Module, state: object, path: Path) -> nn.Module:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise _unreadable(path)
    try:
        module.load_state_dict({name: _float32(value) for name, value in state.items()}, assign=True)
    except RuntimeError as error:
        first = str(error).partition("\n\t")[2].partition("\n")[0][:200]
        raise ModelUnavailable(f"{path.name} does not fit the model: {first}") from error
    if missing := list(unfilled_tensors(module)):
        raise ConfigError(
            f"The installed chatterbox-tts has tensors Monica does not know ({', '.join(missing[:3])}): "
            "install the locked version (`make install EXTRA=chatterbox`)."
        )
    return module.requires_grad_(False).eval()


def _refuse_damaged(state: object, path: Path) -> None:
    """Raise ModelUnavailable if a weight is not finite: every take would fail, and only when it is nearly made."""
    for name, tensor in state.items() if isinstance(state, dict) else ():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            continue
        # The sum is not finite if any value is not, and costs a fraction of looking at each.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise ModelUnavailable(f"{path.name} is damaged: {name} has values that are not finite. Download it again.")


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _unreadable(path: Path) -> ModelUnavailable:
    return ModelUnavailable(f"{path.name} cannot be read: it is damaged or incomplete. Download it again.")
