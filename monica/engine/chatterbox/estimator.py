"""S3Gen's estimator: the velocity of a noisy mel, with the weights of upstream's ConditionalDecoder.

Frames before channels, (B, T, C), so that every convolution is one product. The batch holds both rows of guidance: the
conditional one, and the unconditional one, which gets neither text nor voice. A MeanFlow estimator has only the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.frame_attention import FirstFrames, attend_first_frames
from monica.engine.chatterbox.streaming_cache import StreamingCache
from monica.engine.torch.linear import PRECISIONS, Linear

MEL = 80
QKV_PADDING = 16
"""Zero columns beside q, k and v. Rows a power of two apart would compete for a few lines of the CPU's cache."""
ONE_COLUMNS, ONE = 8, 8.0
"""Columns beside the wide layer of a feed-forward network, and the constant that the first of them holds. The GELU of 8
is 8, to the last bit. So the bias of the layer after it is a row of that layer's matrix, and no kernel of its own.
Eight columns keep the matrix aligned."""

Mask = Tensor | FirstFrames
"""The frames that are attended to: (1, 1, 1, T), 0 or -inf, added to the scores; or, without a cache, how many."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The time steps of the flow, the same for every take."""

    t_emb: Tensor
    """(steps, resnets, 256): the time embedding of each step, as each resnet adds it."""
    dt: Tensor
    """(steps,): the lengths of the steps; they add up to 1."""


class Estimator:
    """Upstream's ConditionalDecoder, for inference.

    estimator: upstream's, float32 (or float64), on its device.
    precision: of the matrix products and the activations between them. With int8 the input and output layers stay
    float32: they are thin.
    fused: whether to have fewer, larger kernels. None: on CUDA, where each launch costs.
    """

    def __init__(self, estimator: Any, *, precision: str = "fp32", fused: bool | None = None) -> None:
        weight: Tensor = estimator.final_proj.weight
        fused = weight.is_cuda if fused is None else fused
        self.device, self.solver_dtype = weight.device, weight.dtype
        self.dtype = PRECISIONS[precision] if weight.dtype == torch.float32 else weight.dtype
        self.channels: int = estimator.final_proj.in_channels
        self.meanflow: bool = estimator.meanflow
        """Whether it estimates the mean velocity between two times rather than the velocity at one."""
        self.rows = 1 if self.meanflow else 2
        """Rows of the batch: the conditional one, and with guidance the unconditional one."""
        ends = "fp32" if precision == "int8" else precision
        ((first, down_blocks, down),) = estimator.down_blocks
        ((last, up_blocks, up),) = estimator.up_blocks
        self._input_resnet = InputResnet(first, self.dtype, ends)
        self._down_blocks = [Transformer(block, self.dtype, precision, fused) for block in down_blocks]
        self._down = CausalConvolution(down.weight, down.bias, precision)
        self._mid = [
            (
                Resnet(resnet, self.dtype, precision),
                [Transformer(block, self.dtype, precision, fused) for block in blocks],
            )
            for resnet, blocks in estimator.mid_blocks
        ]
        self._last = Resnet(last, self.dtype, precision)
        self._up_blocks = [Transformer(block, self.dtype, precision, fused) for block in up_blocks]
        self._up = CausalConvolution(up.weight, up.bias, precision)
        self._final = Block(estimator.final_block, self.dtype, precision)
        self._to_mel = Linear(weight[:, :, 0], estimator.final_proj.bias, precision=ends)
        # Schedules are made rarely, so upstream's own modules will do.
        self._embed_time, self._time_mlp = estimator.time_embeddings, estimator.time_mlp
        self._mix_times = estimator.time_embed_mixer
        self._time_to_bias = [first.mlp, *(resnet.mlp for resnet, _ in estimator.mid_blocks), last.mlp]
        self._schedules: dict[int, Schedule] = {}

    def schedule(self, steps: int) -> Schedule:
        """Return the schedule, which is computed at its first use: a cosine; with MeanFlow, steps of equal length."""
        if steps not in self._schedules:
            t = torch.linspace(0, 1, steps + 1, device=self.device, dtype=self.solver_dtype)  # (steps + 1,)
            if not self.meanflow:
                t = 1 - torch.cos(t * 0.5 * torch.pi)
            embedded = self._time_mlp(self._embed_time(t).to(t.dtype))  # (steps + 1, 1024)
            time = embedded[:-1]  # of the step's beginning
            if self.meanflow:
                time = self._mix_times(torch.cat([time, embedded[1:]], dim=1))  # and of its end
            t_emb = torch.stack([to_bias(time) for to_bias in self._time_to_bias], dim=1)
            self._schedules[steps] = Schedule(t_emb.to(self.dtype), t[1:] - t[:-1])
        return self._schedules[steps]

    def cond_features(self, mu: Tensor, speaker: Tensor, prompt: Tensor, cache: StreamingCache | None = None) -> Tensor:
        """Compute what all steps of a take share. mu, prompt: (1, T, 80). speaker: (1, 80).

        Returns (2, rows, T, 256).
        cache: of the frames before these, if there are any; these are added to it.
        """
        cond = torch.cat([mu, speaker[:, None].expand_as(mu), prompt], dim=2).to(self.dtype)  # (1, T, 240)
        rows = cond if self.meanflow else torch.cat([cond, torch.zeros_like(cond)])
        return self._input_resnet.cond_features(rows, cache)

    def __call__(
        self, x: Tensor, cond: Tensor, t_emb: Tensor, mask: Mask | None = None, cache: StreamingCache | None = None
    ) -> Tensor:
        """Estimate the velocity of x for every row.

        x: (1, T, 80). cond: from `cond_features`. t_emb: (resnets, 256), of one step.
        mask: which frames are attended to; without it all are. cache: of the frames before these, which are attended
        to as well; these are added to it.
        Returns (rows, T, 80).
        """
        first, *between, last = t_emb.unbind()
        h = self._input_resnet(x.to(self.dtype), cond, first, cache)  # (rows, T, 256)
        for block in self._down_blocks:
            h = block(h, mask, cache)
        skip, h = h, self._down(h, cache)
        for (resnet, blocks), time in zip(self._mid, between, strict=True):
            h = resnet(h, time, cache)
            for block in blocks:
                h = block(h, mask, cache)
        h = self._last(torch.cat([h, skip], dim=2), last, cache)
        for block in self._up_blocks:
            h = block(h, mask, cache)
        return self._to_mel(self._final(self._up(h, cache), cache)).to(x.dtype)


class CausalConvolution:
    """A causal convolution as one matrix product. weight: (out, in, taps)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: str) -> None:
        self._taps = weight.size(2)
        self._product = Linear(weight.transpose(1, 2).flatten(1), bias, precision=precision, rows="many")

    def __call__(self, x: Tensor, cache: StreamingCache | None = None) -> Tensor:
        """x: (B, T, in). Returns (B, T, out)."""
        context = self._taps - 1
        padded = F.pad(x, (0, 0, context, 0)) if cache is None else cache.prepend_context(self, x, context)
        windows = padded.unfold(1, self._taps, 1)  # (B, T, in, taps)
        return self._product(windows.transpose(2, 3).flatten(2))


class Norm:
    """A layer norm over channels."""

    def __init__(self, norm: Any, dtype: torch.dtype) -> None:
        self._weight, self._bias, self._eps = norm.weight.to(dtype), norm.bias.to(dtype), norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


class Block:
    """Convolution, norm, Mish."""

    def __init__(self, block: Any, dtype: torch.dtype, precision: str) -> None:
        convolution, _, norm, _, _ = block.block
        self._convolution = CausalConvolution(convolution.weight, convolution.bias, precision)
        self._norm = Norm(norm, dtype)

    def __call__(self, x: Tensor, cache: StreamingCache | None) -> Tensor:
        return mish_(self._norm(self._convolution(x, cache)))


def mish_(x: Tensor) -> Tensor:
    """Mish, in place. On the CPU it takes half the time of F.mish when spelled out like this."""
    if x.is_cuda:  # one kernel instead of three; in bf16 it also rounds once instead of three times
        return F.mish(x, inplace=True)
    return x.mul_(F.softplus(x).tanh_())


class Resnet:
    """Two blocks, with the time embedding added between them, and a residual connection."""

    def __init__(self, resnet: Any, dtype: torch.dtype, precision: str) -> None:
        residual = resnet.res_conv
        self._first = Block(resnet.block1, dtype, precision)
        self._second = Block(resnet.block2, dtype, precision)
        self._residual = Linear(residual.weight[:, :, 0], residual.bias, precision=precision, rows="many")

    def __call__(self, x: Tensor, time: Tensor, cache: StreamingCache | None) -> Tensor:
        """x: (rows, T, in). time: (256,). Returns (rows, T, 256)."""
        return self._residual(x, self._second(self._first(x, cache).add_(time), cache))


class InputResnet:
    """The first resnet. Only 80 of its 320 input channels change with each step; the rest is convolved once a take."""

    def __init__(self, resnet: Any, dtype: torch.dtype, precision: str) -> None:
        convolution, _, norm, _, _ = resnet.block1.block
        residual = resnet.res_conv
        x_weight, cond_weight = convolution.weight[:, :MEL], convolution.weight[:, MEL:]
        self._x_convolution = CausalConvolution(x_weight, None, precision)
        self._cond_convolution = CausalConvolution(cond_weight, convolution.bias, precision)
        self._x_residual = Linear(residual.weight[:, :MEL, 0], precision=precision, rows="many")
        self._cond_residual = Linear(residual.weight[:, MEL:, 0], residual.bias, precision=precision, rows="many")
        self._norm = Norm(norm, dtype)
        self._second = Block(resnet.block2, dtype, precision)

    def cond_features(self, cond: Tensor, cache: StreamingCache | None) -> Tensor:
        """Compute the share of cond in the convolution and in the residual.

        cond: (rows, T, 240). Returns (2, rows, T, 256).
        """
        return torch.stack([self._cond_convolution(cond, cache), self._cond_residual(cond)])

    def __call__(self, x: Tensor, cond: Tensor, time: Tensor, cache: StreamingCache | None) -> Tensor:
        """x: (1, T, 80), the same for all rows. cond: from `cond_features`. time: (256,). Returns (rows, T, 256)."""
        convolved, residual = cond
        h = mish_(self._norm(convolved + self._x_convolution(x, cache))).add_(time)
        return self._second(h, cache).add_(residual).add_(self._x_residual(x))


class Transformer:
    """Attention of every frame to every frame, then a feed-forward network, both with a residual connection.

    fused: one product for q, k and v, and a bias less. On the CPU, three products with padding are faster.
    """

    def __init__(self, block: Any, dtype: torch.dtype, precision: str, fused: bool) -> None:
        attention = block.attn1
        widen, _, narrow = block.ff.net
        self._heads: int = attention.heads
        self._norm1, self._norm3 = Norm(block.norm1, dtype), Norm(block.norm3, dtype)
        self._fused = fused
        qkv = [layer.weight for layer in (attention.to_q, attention.to_k, attention.to_v)]
        wide, wide_bias, narrow_weight = widen.proj.weight, widen.proj.bias, narrow.weight
        narrow_bias: Tensor | None = narrow.bias
        if fused:
            qkv = [torch.cat(qkv)]
            wide = F.pad(wide, (0, 0, 0, ONE_COLUMNS))
            wide_bias = torch.cat([wide_bias, _first(ONE_COLUMNS, ONE, wide_bias)])
            row = narrow.bias[:, None] / ONE
            narrow_weight = torch.cat([narrow_weight, F.pad(row, (0, ONE_COLUMNS - 1))], dim=1)
            narrow_bias = None
        else:
            qkv = [F.pad(weight, (0, 0, 0, QKV_PADDING)) for weight in qkv]
        self._qkv = [Linear(weight, precision=precision, rows="many") for weight in qkv]
        out = attention.to_out[0]
        self._out = Linear(out.weight, out.bias, precision=precision, rows="many")
        self._widen = Linear(wide, wide_bias, precision=precision, rows="many")
        self._narrow = Linear(narrow_weight, narrow_bias, precision=precision, rows="many")

    def __call__(self, x: Tensor, mask: Mask | None, cache: StreamingCache | None) -> Tensor:
        """x: (rows, T, 256). Returns (rows, T, 256)."""
        h = self._norm1(x)
        x = self._out(self._attend([product(h) for product in self._qkv], mask, cache), x)
        wide = torch.ops.aten.gelu_(self._widen(self._norm3(x)))  # (rows, T, 1024), in place: F.gelu cannot
        return self._narrow(wide, x)

    def _attend(self, products: list[Tensor], mask: Mask | None, cache: StreamingCache | None) -> Tensor:
        """products: q, k and v, (rows, T, 512) each or side by side. Returns (rows, T, 512)."""
        if isinstance(mask, FirstFrames):
            [qkv] = products
            return attend_first_frames(qkv.view(*qkv.shape[:2], 3, self._heads, -1), mask)
        q, k, v = self._split_heads(products)  # (rows, heads, T, 64)
        if cache is not None:
            k, v = cache.append_kv(self, k, v)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)

    def _split_heads(self, products: list[Tensor]) -> list[Tensor]:
        if self._fused:
            [qkv] = products
            return list(qkv.view(*qkv.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4))
        return [each[..., :-QKV_PADDING].view(*each.shape[:2], self._heads, -1).transpose(1, 2) for each in products]


def _first(count: int, value: float, like: Tensor) -> Tensor:
    """Return `count` numbers: a value, then zeros."""
    return F.pad(torch.full_like(like[:1], value), (0, count - 1))
