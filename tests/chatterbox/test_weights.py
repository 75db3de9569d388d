"""Loading on the meta device gives what upstream's slow way gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.weights import load_s3gen, unfilled

from .conftest import T3_LAYERS


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every tensor: parameters, buffers kept or not, and plain attributes."""
    found = {}
    for prefix, part in module.named_modules():
        for name, value in {**vars(part), **part._parameters, **part._buffers}.items():
            if isinstance(value, Tensor):
                found[f"{prefix}.{name}".lstrip(".")] = value
    return found


@pytest.mark.parametrize("part", ["t3", "s3gen", "voice_encoder"])
def test_every_tensor_is_upstreams(model: Model, upstream: Any, checkpoint_dir: Path, part: str) -> None:
    # S3Gen anew: the model's own has its estimator wrapped.
    ours = load_s3gen(checkpoint_dir / "s3gen.pt") if part == "s3gen" else getattr(model, part)
    theirs = upstream.ve if part == "voice_encoder" else getattr(upstream, part)
    expected, found = tensors(theirs), tensors(ours)
    # Upstream's T3 leaves itself there a second time after a take.
    expected = {name: value for name, value in expected.items() if not name.startswith("patched_model")}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name
    assert not any(value.requires_grad for value in found.values())
    assert not ours.training


def test_t3_has_the_layers_of_its_file(model: Model) -> None:
    assert len(model.t3.tfmr.layers) == model.t3.cfg.num_hidden_layers == T3_LAYERS


def test_a_tensor_nobody_filled_is_found(checkpoint_dir: Path) -> None:
    s3gen = load_s3gen(checkpoint_dir / "s3gen.pt")
    assert not list(unfilled(s3gen))
    s3gen.mel2wav.surprise = torch.empty(1, device="meta")
    s3gen.flow.register_buffer("another", torch.empty(1, device="meta"))
    assert set(unfilled(s3gen)) == {"mel2wav.surprise", "flow.another"}
