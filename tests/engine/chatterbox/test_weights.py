"""Loading on the meta device gives the same modules as upstream's slow loading."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from monica.engine.chatterbox import weights
from monica.engine.chatterbox.weights import load_s3gen, load_t3, load_voice_encoder, unfilled_tensors
from monica.errors import ModelUnavailable

from .conftest import T3_LAYERS


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return all tensors of a module: parameters, buffers, persistent or not, and plain attributes."""
    found = {}
    for prefix, part in module.named_modules():
        for name, value in {**vars(part), **part._parameters, **part._buffers}.items():
            if isinstance(value, Tensor):
                found[f"{prefix}.{name}".lstrip(".")] = value
    return found


@pytest.mark.parametrize("part", ["t3", "s3gen", "voice_encoder"])
def test_every_tensor_equals_upstreams(upstream: Any, checkpoint_dir: Path, part: str) -> None:
    parts: dict[str, tuple[Callable[[Path], Any], str, Any]] = {
        "t3": (lambda path: load_t3(path)[0], "t3_mtl23ls_v3.safetensors", upstream.t3),
        "s3gen": (load_s3gen, "s3gen.pt", upstream.s3gen),
        "voice_encoder": (load_voice_encoder, "ve.pt", upstream.ve),
    }
    load, file, theirs = parts[part]
    ours = load(checkpoint_dir / file)
    expected, found = tensors(theirs), tensors(ours)
    # After a take, upstream's T3 holds itself as an attribute, too. Its layers are compared below.
    expected = {
        name: value for name, value in expected.items() if not name.startswith(("patched_model", "tfmr.layers"))
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name
    assert not any(value.requires_grad for value in found.values())
    assert not ours.training


def test_t3s_layers_equal_upstreams(upstream: Any, checkpoint_dir: Path) -> None:
    _, layers = load_t3(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
    assert len(layers) == T3_LAYERS
    for ours, theirs in zip(layers, upstream.t3.tfmr.layers, strict=True):
        expected = theirs.state_dict()
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (r"tfmr\.layers\.\d+\.", "lacks layers"),
        (r"tfmr\.layers\.0\.", "lacks layers"),
        (r"tfmr\.layers\.1\.mlp\.up_proj", "layer 1 is not"),
        (r"tfmr\.norm", "norm"),
    ],
)
def test_a_t3_with_missing_parts_is_reported(checkpoint_dir: Path, tmp_path: Path, drop: str, message: str) -> None:
    state = load_file(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
    save_file({name: tensor for name, tensor in state.items() if not re.match(drop, name)}, tmp_path / "t3.safetensors")
    with pytest.raises(ModelUnavailable, match=rf"t3\.safetensors does not fit the model: .*{message}"):
        load_t3(tmp_path / "t3.safetensors")


@pytest.mark.parametrize("damage", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(
    ("load", "file", "name"),
    [
        (load_t3, "t3_mtl23ls_v3.safetensors", "tfmr.layers.1.mlp.up_proj.weight"),
        (load_t3, "t3_mtl23ls_v3.safetensors", "speech_emb.weight"),
        (load_s3gen, "s3gen.pt", "flow.decoder.estimator.final_proj.weight"),
        (load_voice_encoder, "ve.pt", "lstm.bias_hh_l2"),
    ],
)
def test_a_weight_that_is_not_finite_is_refused_by_name(
    checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch, load: Any, file: str, name: str, damage: float
) -> None:
    """A single one: every take would fail, and only when it is nearly made."""

    def damaged(read: Callable[[Path], dict[str, Tensor]]) -> Callable[[Path], dict[str, Tensor]]:
        def read_damaged(path: Path) -> dict[str, Tensor]:
            state = read(path)
            state[name] = state[name].clone()
            state[name].view(-1)[3] = damage
            return state

        return read_damaged

    for reader in ("load_file", "read_pickle"):
        monkeypatch.setattr(weights, reader, damaged(getattr(weights, reader)))
    with pytest.raises(ModelUnavailable, match=rf"{file} is damaged: {name} has values that are not finite"):
        load(checkpoint_dir / file)


def test_large_finite_weights_are_no_damage() -> None:
    """Even if their sum is not finite."""
    state = {"large": torch.full((2,), torch.finfo(torch.float32).max), "ids": torch.zeros(2, dtype=torch.int64)}
    weights._refuse_damaged(state, Path("file"))


def test_a_tensor_left_without_data_is_found(checkpoint_dir: Path) -> None:
    s3gen = load_s3gen(checkpoint_dir / "s3gen.pt")
    assert not list(unfilled_tensors(s3gen))
    s3gen.mel2wav.surprise = torch.empty(1, device="meta")
    s3gen.flow.register_buffer("another", torch.empty(1, device="meta"))
    assert set(unfilled_tensors(s3gen)) == {"mel2wav.surprise", "flow.another"}
