"""S3Gen's estimator: where a noisy mel is to move, by the weights of upstream's ConditionalDecoder.

Frames before channels, (B, T, C), so that every convolution is one product. Both rows of a guided take are in the
batch: the conditional one, and one that knows neither text nor voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.past import Past
from monica.engine.torch.linear import PRECISIONS, Linear

MEL = 80
APART = 16
"""Columns of nothing beside q, k and v: rows a power of two apart would fight for a few lines of the CPU's cache."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the Euler steps of a take have in common, whatever the take."""

    times: Tensor  # (steps, resnets, 256), what each step adds inside each resnet
    lengths: Tensor  # (steps,), of the steps, 1 in all


class Estimator:
    """Upstream's ConditionalDecoder, for inference.

    estimator: upstream's, float32 (or float64), on its device. precision: of products and of what lies between them;
    with int8 the two ends, which are thin, stay float32.
    """

    def __init__(self, estimator: Any, *, precision: str = "fp32") -> None:
        weight: Tensor = estimator.final_proj.weight
        self.device, self.solver_dtype = weight.device, weight.dtype
        self.dtype = PRECISIONS[precision] if weight.dtype == torch.float32 else weight.dtype
        self.channels: int = estimator.final_proj.in_channels
        ends = "fp32" if precision == "int8" else precision
        ((first, down_blocks, down),) = estimator.down_blocks
        ((last, up_blocks, up),) = estimator.up_blocks
        self._entry = Entry(first, self.dtype, ends)
        self._down_blocks = [Transformer(block, self.dtype, precision) for block in down_blocks]
        self._down = Convolution(down.weight, down.bias, precision)
        self._mid = [
            (Resnet(resnet, self.dtype, precision), [Transformer(block, self.dtype, precision) for block in blocks])
            for resnet, blocks in estimator.mid_blocks
        ]
        self._last = Resnet(last, self.dtype, precision)
        self._up_blocks = [Transformer(block, self.dtype, precision) for block in up_blocks]
        self._up = Convolution(up.weight, up.bias, precision)
        self._final = Block(estimator.final_block, self.dtype, precision)
        self._to_mel = Linear(weight[:, :, 0], estimator.final_proj.bias, precision=ends)
        # Schedules are rare: upstream's own modules make them.
        self._embed_time, self._time_mlp = estimator.time_embeddings, estimator.time_mlp
        self._time_to_bias = [first.mlp, *(resnet.mlp for resnet, _ in estimator.mid_blocks), last.mlp]
        self._schedules: dict[int, Schedule] = {}

    def schedule(self, steps: int) -> Schedule:
        """Return the cosine schedule, made at its first use."""
        if steps not in self._schedules:
            even = torch.linspace(0, 1, steps + 1, device=self.device, dtype=self.solver_dtype)
            t = 1 - torch.cos(even * 0.5 * torch.pi)  # (steps + 1,)
            time = self._time_mlp(self._embed_time(t[:-1]).to(t.dtype))  # (steps, 1024)
            times = torch.stack([to_bias(time) for to_bias in self._time_to_bias], dim=1)
            self._schedules[steps] = Schedule(times.to(self.dtype), t[1:] - t[:-1])
        return self._schedules[steps]

    def given(self, mu: Tensor, speaker: Tensor, prompt: Tensor, past: Past | None = None) -> Tensor:
        """Work out what a take's steps share. mu, prompt: (1, T, 80). speaker: (1, 80). Returns (2, 2, T, 256).

        past: of the frames before, where there are any; it then holds these too.
        """
        known = torch.cat([mu, speaker[:, None].expand_as(mu), prompt], dim=2).to(self.dtype)  # (1, T, 240)
        return self._entry.given(torch.cat([known, torch.zeros_like(known)]), past)

    def __call__(
        self, x: Tensor, given: Tensor, times: Tensor, mask: Tensor | None = None, past: Past | None = None
    ) -> Tensor:
        """Estimate the velocity of x for both rows.

        x: (1, T, 80). given: of `given`. times: (resnets, 256), a step's. mask: (1, 1, 1, T), 0 or -inf, added to
        what any frame makes of frame t; without it every frame hears every other. past: what frames before these left,
        which are heard too; these are left in it. Returns (2, T, 80).
        """
        first, *between, last = times.unbind()
        h = self._entry(x.to(self.dtype), given, first, past)  # (2, T, 256)
        for block in self._down_blocks:
            h = block(h, mask, past)
        skip, h = h, self._down(h, past)
        for (resnet, blocks), time in zip(self._mid, between, strict=True):
            h = resnet(h, time, past)
            for block in blocks:
                h = block(h, mask, past)
        h = self._last(torch.cat([h, skip], dim=2), last, past)
        for block in self._up_blocks:
            h = block(h, mask, past)
        return self._to_mel(self._final(self._up(h, past), past)).to(x.dtype)


class Convolution:
    """A causal convolution, as one product. weight: (out, in, taps)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: str) -> None:
        self._taps = weight.size(2)
        self._product = Linear(weight.transpose(1, 2).flatten(1), bias, precision=precision, rows="many")

    def __call__(self, x: Tensor, past: Past | None = None) -> Tensor:
        """x: (B, T, in). Returns (B, T, out)."""
        before = self._taps - 1
        led = F.pad(x, (0, 0, before, 0)) if past is None else past.lead(self, x, before)
        heard = led.unfold(1, self._taps, 1)  # (B, T, in, taps)
        return self._product(heard.transpose(2, 3).flatten(2))


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
        self._convolution = Convolution(convolution.weight, convolution.bias, precision)
        self._norm = Norm(norm, dtype)

    def __call__(self, x: Tensor, past: Past | None) -> Tensor:
        return mish_(self._norm(self._convolution(x, past)))


def mish_(x: Tensor) -> Tensor:
    """Mish, in place; on the CPU its parts take half the time of F.mish."""
    return x.mul_(F.softplus(x).tanh_())


class Resnet:
    """Two blocks, the time between them, and a way around."""

    def __init__(self, resnet: Any, dtype: torch.dtype, precision: str) -> None:
        around = resnet.res_conv
        self._first = Block(resnet.block1, dtype, precision)
        self._second = Block(resnet.block2, dtype, precision)
        self._around = Linear(around.weight[:, :, 0], around.bias, precision=precision, rows="many")

    def __call__(self, x: Tensor, time: Tensor, past: Past | None) -> Tensor:
        """x: (2, T, in). time: (256,). Returns (2, T, 256)."""
        return self._around(x, self._second(self._first(x, past).add_(time), past))


class Entry:
    """The first resnet. Of its 320 channels in, 80 change with every step: the others are convolved once a take."""

    def __init__(self, resnet: Any, dtype: torch.dtype, precision: str) -> None:
        convolution, _, norm, _, _ = resnet.block1.block
        around = resnet.res_conv
        moving, known = convolution.weight[:, :MEL], convolution.weight[:, MEL:]
        self._convolution = Convolution(moving, None, precision)
        self._known_convolution = Convolution(known, convolution.bias, precision)
        self._around = Linear(around.weight[:, :MEL, 0], precision=precision, rows="many")
        self._known_around = Linear(around.weight[:, MEL:, 0], around.bias, precision=precision, rows="many")
        self._norm = Norm(norm, dtype)
        self._second = Block(resnet.block2, dtype, precision)

    def given(self, known: Tensor, past: Past | None) -> Tensor:
        """known: (2, T, 240). Returns what it adds to the convolution and to the way around it: (2, 2, T, 256)."""
        return torch.stack([self._known_convolution(known, past), self._known_around(known)])

    def __call__(self, x: Tensor, given: Tensor, time: Tensor, past: Past | None) -> Tensor:
        """x: (1, T, 80), the same for both rows. given: (2, 2, T, 256). time: (256,). Returns (2, T, 256)."""
        convolved, around = given
        h = mish_(self._norm(convolved + self._convolution(x, past))).add_(time)
        return self._second(h, past).add_(around).add_(self._around(x))


class Transformer:
    """Attention of every frame to every frame, then a feed-forward network, both around a residual."""

    def __init__(self, block: Any, dtype: torch.dtype, precision: str) -> None:
        attention = block.attn1
        widen, _, narrow = block.ff.net
        nothing = attention.to_q.weight.new_zeros(APART, attention.to_q.in_features)
        self._heads: int = attention.heads
        self._norm1, self._norm3 = Norm(block.norm1, dtype), Norm(block.norm3, dtype)
        self._qkv = [
            Linear(torch.cat([layer.weight, nothing]), precision=precision, rows="many")
            for layer in (attention.to_q, attention.to_k, attention.to_v)
        ]
        self._out, self._widen, self._narrow = (
            Linear(layer.weight, layer.bias, precision=precision, rows="many")
            for layer in (attention.to_out[0], widen.proj, narrow)
        )

    def __call__(self, x: Tensor, mask: Tensor | None, past: Past | None) -> Tensor:
        """x: (2, T, 256). mask: (1, 1, 1, T), added. Returns (2, T, 256)."""
        h = self._norm1(x)
        q, k, v = (self._apart(product(h)) for product in self._qkv)  # (2, heads, T, 64)
        if past is not None:
            k, v = past.join(self, k, v)
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self._out(heard.transpose(1, 2).flatten(2), x)
        wide = torch.ops.aten.gelu_(self._widen(self._norm3(x)))  # (2, T, 1024), in place: F.gelu cannot
        return self._narrow(wide, x)

    def _apart(self, x: Tensor) -> Tensor:
        return x[..., :-APART].view(*x.shape[:2], self._heads, -1).transpose(1, 2)
