"""The estimator: upstream's velocities, however a take is padded, and no operator that a CUDA graph cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from chatterbox.models.s3gen import decoder as upstream_decoder
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from monica.engine.chatterbox.estimator import ONE, Estimator
from monica.engine.chatterbox.euler import EulerStep, Padding
from monica.engine.chatterbox.weights import load_s3gen

from . import flash_attention

FRAMES, BUCKET = 41, 64
WAITING_OPERATORS = (
    "_local_scalar_dense",
    "item",
    "is_nonzero",
    "nonzero",
    "index",
    "masked_select",
    "equal",
    "lift_fresh",
)
"""Operators that wait for the device, have shapes that depend on the data, or copy data from the host."""

MakeUpstream = Callable[[torch.dtype], Any]


@pytest.fixture(scope="module")
def make_upstream(checkpoint_dir: Path) -> MakeUpstream:
    """Return a function that makes upstream's estimator, with only two of its twelve middle blocks."""

    def make(dtype: torch.dtype) -> Any:
        estimator = load_s3gen(checkpoint_dir / "s3gen.pt").flow.decoder.estimator
        estimator.mid_blocks = estimator.mid_blocks[:2]
        return estimator.to(dtype)

    return make


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = {"x": (1, FRAMES, 80), "mu": (1, FRAMES, 80), "speaker": (1, 80), "prompt": (1, FRAMES, 80)}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


@torch.inference_mode()
def estimate(estimator: Estimator, inputs: dict[str, Tensor], step: int = 3) -> Tensor:
    x, mu, speaker, prompt = (inputs[name].to(estimator.solver_dtype) for name in ("x", "mu", "speaker", "prompt"))
    return estimator(x, estimator.cond_features(mu, speaker, prompt), estimator.schedule(10).t_emb[step], None)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.inference_mode()
def test_velocities_equal_upstreams(
    make_upstream: MakeUpstream,
    inputs: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    within: float,
) -> None:
    # Upstream's own refuses float64.
    monkeypatch.setattr(upstream_decoder, "mask_to_bias", lambda mask, dtype: (1 - mask.to(dtype)) * -1e10)
    upstream = make_upstream(dtype)
    t = 1 - torch.cos(torch.linspace(0, 1, 11, dtype=dtype) * 0.5 * torch.pi)
    rows = {name: tensor.to(dtype).expand(2, *tensor.shape[1:]).clone() for name, tensor in inputs.items()}
    for name in ("mu", "speaker", "prompt"):
        rows[name][1] = 0
    expected = [
        upstream(
            x=rows["x"].transpose(1, 2),
            mask=torch.ones(2, 1, FRAMES, dtype=dtype),
            mu=rows["mu"].transpose(1, 2),
            t=t[[step, step]],
            spks=rows["speaker"],
            cond=rows["prompt"].transpose(1, 2),
        ).transpose(1, 2)
        for step in (0, 9)
    ]
    for fused in (True, False):  # as on CUDA, and as on the CPU
        estimator = Estimator(upstream, fused=fused)
        for step, velocities in zip((0, 9), expected, strict=True):
            ours = estimate(estimator, inputs, step)
            assert ours.dtype == dtype
            torch.testing.assert_close(ours, velocities, atol=within, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 0.01
    torch.testing.assert_close(estimator.schedule(10).dt, t.diff(), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("precision", "cosine", "fused"), [("bf16", 0.999, False), ("bf16", 0.999, True), ("int8", 0.99, False)]
)
def test_velocities_in_lower_precision_stay_close(
    make_upstream: MakeUpstream, inputs: dict[str, Tensor], precision: str, cosine: float, fused: bool
) -> None:
    upstream = make_upstream(torch.float32)
    exact = estimate(Estimator(upstream), inputs)
    rounded = estimate(Estimator(upstream, precision=precision, fused=fused), inputs)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.cosine_similarity(rounded.flatten(), exact.flatten(), dim=0) > cosine


class RefuseWaiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func._opname not in WAITING_OPERATORS, func
        return func(*args, **(kwargs or {}))


def refuse_waiting() -> Any:
    return RefuseWaiting()  # type: ignore[no-untyped-call]


def test_a_bias_is_folded_into_a_product_without_rounding() -> None:
    """In float32 and in bf16: the constant that multiplies it is a power of two, and its GELU is itself."""
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        one = torch.nn.functional.gelu(torch.tensor(ONE, dtype=dtype))
        assert abs(float(one) - ONE) < (1e-14 if dtype == torch.float64 else 1e-30)


@pytest.fixture(params=["masked", "by length"])
def padding(request: pytest.FixtureRequest) -> Iterator[Padding]:
    with flash_attention.installed():
        yield request.param


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.inference_mode()
def test_padding_frames_change_nothing(
    make_upstream: MakeUpstream, inputs: dict[str, Tensor], dtype: torch.dtype, within: float, padding: Padding
) -> None:
    estimator = Estimator(make_upstream(dtype), fused=padding == "by length")
    exact = EulerStep(estimator, 0.7, FRAMES, 10)
    padded = EulerStep(estimator, 0.7, BUCKET, 10, padding=padding)
    # A longer take before it has left its frames in the buffers.
    padded.set_inputs(torch.full((1, BUCKET, 80), 3.0), torch.full((2, 2, BUCKET, 256), 3.0), 0)
    padded.run()
    mu, speaker, prompt = (inputs[name].to(dtype) for name in ("mu", "speaker", "prompt"))
    results = []
    for state in (exact, padded):
        x = inputs["x"].to(dtype)
        for step in range(3):
            state.set_inputs(x, estimator.cond_features(mu, speaker, prompt), step)
            state.run()
            x = state.x[:, :FRAMES].clone()
        results.append(x)
    torch.testing.assert_close(results[1], results[0], atol=within, rtol=0)
    assert (results[0] - inputs["x"]).abs().max() > 0.01


@torch.no_grad()  # in inference mode, a composite operator would hide its parts
def test_a_step_never_waits_and_its_tensors_stay_in_place(make_upstream: MakeUpstream, padding: Padding) -> None:
    estimator = Estimator(make_upstream(torch.float32), fused=padding == "by length")
    state = EulerStep(estimator, 0.7, BUCKET, 10, padding=padding)
    state.set_inputs(torch.randn(1, FRAMES, 80), torch.randn(2, 2, FRAMES, 256), 0)
    place, before = state.x.data_ptr(), state.x.clone()
    with refuse_waiting():
        state.run()
    assert state.x.data_ptr() == place
    assert not torch.equal(state.x, before)
    with pytest.raises(AssertionError), refuse_waiting():
        state.x.sum().item()
    with pytest.raises(AssertionError), refuse_waiting():
        torch.tensor([1.0])
