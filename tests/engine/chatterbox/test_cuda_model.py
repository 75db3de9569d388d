"""The report of what the engine does on CUDA: what is counted, what is modelled, and that they stay apart."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.cuda_model import RECORD, ideal_bytes, lengths_of, report
from benchmarks.rehearsal.cost import BY_LENGTH, GPUS, Cost, count
from benchmarks.rehearsal.operation import Operand, Operation

BF16 = torch.bfloat16


def operand(*shape: int, dtype: torch.dtype = BF16) -> Operand:
    stride = tuple(int(torch.Size(shape[axis + 1 :]).numel()) for axis in range(len(shape)))
    return Operand(shape, stride, 0, dtype, "cuda")


def operation(name: str, *inputs: Operand, output: Operand, graph: str | None = "a graph") -> Operation:
    return Operation(name, inputs, (output,), launches=True, wait=None, graph=graph)


PRODUCT = operation("mm", operand(2, 1024), operand(1024, 4096), output=operand(2, 4096))
SMALL = operation("silu", operand(2, 4), output=operand(2, 4))


def test_a_product_takes_as_long_as_its_matrix_needs_from_the_memory() -> None:
    cost = count([PRODUCT], graphs=1)
    assert (cost.kernels, cost.launches) == (1, 1)
    assert cost.bytes == 2 * (2 * 1024 + 1024 * 4096 + 2 * 4096)
    for gpu in GPUS:
        product = cost.bytes / gpu.bytes_s / gpu.product_share
        assert cost.seconds[gpu.name] == pytest.approx(max(gpu.kernel_s, product) + gpu.launch_s)


def test_a_small_kernel_takes_a_fixed_time_and_an_eager_one_waits_for_the_host() -> None:
    eager = operation("silu", operand(2, 4), output=operand(2, 4), graph=None)
    for gpu in GPUS:
        assert count([SMALL] * 100, graphs=1).seconds[gpu.name] == pytest.approx(100 * gpu.kernel_s + gpu.launch_s)
        assert count([eager] * 100, graphs=0).seconds[gpu.name] == pytest.approx(100 * gpu.launch_s)
    assert count([eager] * 100, graphs=0).launches == 100
    assert count([SMALL] * 100, graphs=1).launches == 1


def test_attention_by_length_moves_what_the_rows_have_filled() -> None:
    q, cache, numbers = operand(1, 4, 16, 64), operand(1, 10**6, 16, 64), operand(5, dtype=torch.int32)
    attention = operation(BY_LENGTH, q, cache, cache, numbers, numbers, numbers, output=q)
    assert count([attention], graphs=1, cached=700).bytes == 2 * 2 * 700 * 1024 + 2 * 2 * 4 * 1024


def test_more_layers_cost_what_one_more_costs() -> None:
    eager = operation("silu", operand(2, 4), output=operand(2, 4), graph=None)
    one, two = count([SMALL], graphs=1), count([SMALL, PRODUCT, eager], graphs=1)
    thirty = two.scaled(one, 28)
    assert (thirty.kernels, thirty.launches) == (59, 30)
    assert thirty.bytes == one.bytes + 29 * (two.bytes - one.bytes)


def test_takes_of_mixed_lengths_fill_300_positions_on_average() -> None:
    for takes in (1, 4, 8):
        lengths = lengths_of(takes)
        assert (len(lengths), sum(lengths)) == (takes, 300 * takes)
    # 30 layers in bf16, the head in float32, keys and values of two rows
    assert ideal_bytes(8) == pytest.approx(1.007e9 + 33.6e6 + 2400 * 245.8e3, rel=1e-3)


def test_the_report_tells_counted_from_modelled() -> None:
    before = json.loads(RECORD.read_text())
    parts = {name: Cost(**cost) for name, cost in before["parts"].items()}
    lines = list(report(before, parts))
    assert "Nothing here was measured" in lines[0]
    assert before["commit"] in lines[0]
    tables = [line for line in lines if line.startswith(("| counted", "| modelled, ms"))]
    assert [line.split()[1] for line in tables] == ["counted", "counted", "modelled,"]
    assert not [line for line in lines if "ms" in line and "kernels" in line]
