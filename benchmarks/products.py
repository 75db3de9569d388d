"""Time what a step of T3 does most: the thin matrix products of a layer, in every way that this CPU offers.

    python -m benchmarks.products [--layers N] [--rounds N]

It uses the matrices of N layers, so that none stays in the CPU's caches. 2 rows are one take, 16 are eight. `share` is
the share of the highest speed at which this machine reads memory. `compiled` is torch.compile with frozen weights and
max-autotune, if there is a C++ compiler.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.hardware import describe_cpu, read_speed
from monica.engine.torch.linear import Linear, transposed_is_faster

SHAPES = ((3072, 1024), (1024, 1024), (8192, 1024), (1024, 4096))
"""The shapes (out, in) of the four products: q, k and v; out; gate and up; down."""
ROWS = (2, 16)

Product = Callable[[Tensor], Tensor]


def transposed(weight: Tensor) -> Product:
    matrix = weight.t().contiguous()
    return lambda x: x @ matrix


def packed_by_mkl(weight: Tensor) -> Product:
    """Use the kernel that compiled code with frozen weights calls on x86."""
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, ROWS[0])
    return lambda x: torch.ops.mkl._mkl_linear(x, packed, weight, None, x.size(0))


def compiled(weight: Tensor) -> Product:
    layer = nn.Linear(weight.size(1), weight.size(0), bias=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return torch.compile(layer.eval(), options={"freezing": True, "max_autotune": True}, dynamic=False)


WAYS: dict[str, tuple[Callable[[Tensor], Product], int]] = {
    "F.linear": (lambda weight: lambda x: F.linear(x, weight), 4),
    "transposed": (transposed, 4),
    "packed by MKL": (packed_by_mkl, 4),
    "compiled": (compiled, 4),
    "bf16": (lambda weight: _cast(Linear(weight, precision="bf16")), 2),
    "int8": (lambda weight: Linear(weight, precision="int8"), 1),
}
"""For each way, the function that builds the product for a matrix, and the bytes it reads for each weight."""


def _cast(linear: Linear) -> Product:
    return lambda x: linear(x.bfloat16())


@torch.inference_mode()
def measure(make: Callable[[Tensor], Product], layers: int, rounds: int) -> list[float]:
    """Return median seconds of all layers' products, for each of ROWS."""
    products = [(inside, make(torch.randn(out, inside))) for _ in range(layers) for out, inside in SHAPES]
    medians = []
    for rows in ROWS:
        inputs = {inside: torch.randn(rows, inside) for _, inside in SHAPES}
        seconds = []
        for _ in range(rounds + 2):
            began = time.perf_counter()
            for inside, product in products:
                product(inputs[inside])
            seconds.append(time.perf_counter() - began)
        medians.append(statistics.median(seconds[2:]))  # the first ones compile and warm up
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    speed = read_speed("cpu")
    weights = arguments.layers * sum(out * inside for out, inside in SHAPES)
    sys.stdout.write(f"{describe_cpu()}, memory read at {speed / 1e9:.0f} GB/s, {arguments.layers} layers\n")
    sys.stdout.write(f"Monica uses {'transposed' if transposed_is_faster() else 'F.linear'} here for fp32\n\n")
    sys.stdout.write("| | 2 rows | share | 16 rows |\n| --- | --- | --- | --- |\n")
    reference: list[float] = []
    for name, (make, width) in WAYS.items():
        if name == "packed by MKL" and not torch._C.has_mkl:
            continue
        if name == "compiled" and shutil.which("g++") is None:
            continue
        thin, thick = measure(make, arguments.layers, arguments.rounds)
        reference = reference or [thin, thick]
        share = weights * width / thin / speed
        ratios = (reference[0] / thin, reference[1] / thick)
        sys.stdout.write(f"| {name} | {ratios[0]:.2f}x | {share:.2f} | {ratios[1]:.2f}x |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
