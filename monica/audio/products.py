"""Multiplies many short rows by one small matrix: how numpy computes a filter fast.

`np.convolve` computes one number at a time, and takes four times as long.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
T = TypeVar("T", bound=np.floating)

SMALL_PRODUCT = 1 << 18
"""OpenBLAS shares a product of more multiplications than this among threads. They would take the cores from the engine,
to no use: such products are done before a thread has woken up."""
FILTER_ROW = 32
"""How many numbers a filter computes at once."""


def multiply(rows: Numbers, matrix: Numbers) -> Numbers:
    """Return the product of (N, K) and (K, M): (N, M). It is computed in this thread."""
    product = np.empty((len(rows), matrix.shape[1]))
    step = max(1, SMALL_PRODUCT // matrix.size)
    for start in range(0, len(rows), step):
        np.matmul(rows[start : start + step], matrix, out=product[start : start + step])
    return product


def filter_matrix(filter: Numbers) -> Numbers:
    """Return the matrix for `overlapping_rows` that applies a filter (K,): (FILTER_ROW + K - 1, FILTER_ROW).

    The filter is applied as `np.correlate` does: its first number counts for the first of K samples.
    """
    matrix = np.zeros((FILTER_ROW + len(filter) - 1, FILTER_ROW))
    for column in range(FILTER_ROW):
        matrix[column : column + len(filter), column] = filter
    return matrix


def overlapping_rows(numbers: NDArray[T], width: int) -> NDArray[T]:
    """Return (N,) numbers as rows that each begin FILTER_ROW later, for a filter of `width`: a view of them.

    N - width + 1 must be a multiple of FILTER_ROW.
    """
    count = (len(numbers) - width + 1) // FILTER_ROW
    (step,) = numbers.strides
    return as_strided(numbers, (count, FILTER_ROW + width - 1), (FILTER_ROW * step, step), writeable=False)
