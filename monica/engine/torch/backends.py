"""What the libraries below PyTorch are told on CUDA: their precision, their kernels, how much they may keep."""

from __future__ import annotations

import logging

import torch

from monica.engine.torch.device import GIB, free_memory

FFT_PLANS = 16
"""Upper bound on cuFFT's plans. Every length of a take needs its own, and PyTorch would keep 4 096 of them."""
MACHINE_RESERVE = 4 * GIB
"""What is left to the rest of a machine whose GPU has no memory of its own."""

logger = logging.getLogger(__name__)


def configure_cuda() -> None:
    """Configure PyTorch's CUDA libraries, for the whole process. To be called before the model is loaded."""
    # float32 means float32. By default cuDNN rounds the operands of convolutions to TF32's 10 bits, which is off by a
    # thousandth: in the encoder, in the vocoder with its pitch, in the watermark.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # The vocoder's transposed convolutions would add up their parts in any order, so that the same seed gave sound that
    # differs in the last bits. The kernels that keep an order take as long.
    torch.backends.cudnn.deterministic = True
    # Sums of bf16 products are kept in float32, whichever way cuBLAS splits them.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # On some GPUs (9.x and 10.x) attention would prefer cuDNN, which builds a plan for every new length. Without it,
    # all GPUs use the same kernels, those that the self-test and the tests know.
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.cufft_plan_cache.max_size = FFT_PLANS
    _limit_memory()


def _limit_memory() -> None:
    """If the GPU shares the machine's memory, raise OutOfMemoryError before the machine begins to swap.

    On such a machine an allocation fails only when nothing is left for any process. A card with memory of its own
    needs no limit: there an allocation fails in time, and harms no one else.
    """
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    if properties.is_integrated:
        limit = max(free_memory("cuda") - MACHINE_RESERVE, GIB)
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / properties.total_memory))
        logger.info("GPU memory: at most %.1f GiB of the machine's memory", limit / GIB)
