"""The engine's matrices: the right product, in each precision and layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monica.engine.torch import linear as linear_module
from monica.engine.torch.linear import Linear


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(96, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.05), ("int8", 0.05)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(2, 64), (1, 64), (2, 7, 64)])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
def test_it_equals_the_matrix_product(
    weight: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    tolerance: float,
    transposed: bool,
    shape: tuple[int, ...],
    with_bias: bool,
    with_residual: bool,
) -> None:
    monkeypatch.setattr(linear_module, "transposed_is_faster", lambda: transposed)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(*shape, generator=generator)
    bias = torch.randn(96, generator=generator) if with_bias else None
    residual = torch.randn(*shape[:-1], 96, generator=generator) if with_residual else None
    expected = torch.nn.functional.linear(x, weight, bias) + (0 if residual is None else residual)
    linear = Linear(weight, bias, precision=precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    found = linear(x.to(dtype), None if residual is None else residual.to(dtype))
    assert found.dtype == dtype
    assert found.shape == expected.shape
    assert (found.float() - expected).norm() < tolerance * expected.norm()


def test_float64_stays_float64(weight: Tensor) -> None:
    x = torch.randn(2, 64, dtype=torch.float64)
    found = Linear(weight.double())(x)
    torch.testing.assert_close(found, x @ weight.double().t(), atol=1e-12, rtol=0)


def test_a_row_of_zeros_is_rounded_to_zeros(weight: Tensor) -> None:
    weight[5] = 0
    found = Linear(weight, precision="int8")(torch.randn(2, 64))
    assert found.isfinite().all()
    assert (found[:, 5] == 0).all()


def test_the_layout_probe_returns_an_answer() -> None:
    linear_module.transposed_is_faster.cache_clear()
    assert linear_module.transposed_is_faster() in (True, False)
    assert linear_module.quantized_engine() in torch.backends.quantized.supported_engines
