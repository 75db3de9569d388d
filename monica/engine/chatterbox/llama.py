"""T3's transformer, a Llama: fused matrices, a static key-value cache, one position a row at each step.

Rows decode side by side, each at its own position; nothing here depends on what a row is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from monica.engine.chatterbox.attention import RowLengths, attend_lengths, attend_window, row_starts
from monica.engine.torch.linear import PRECISIONS, Linear

POSITIONS = 3072
"""Positions the cache can hold of one row: the longest prompt and a thousand speech tokens."""

Rotate = Callable[[Tensor], Tensor]
"""Applies rotary positions to q and k, and nothing to v: (..., 3, H, 64) to the same shape."""
Attend = Callable[[Tensor, Tensor], Tensor]
"""Turns q, (..., H, 64), and keys before values, (..., 2 H, 64), into (..., D)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights, in the chosen precision."""

    attention_norm: Tensor  # (D,)
    qkv: Linear  # D -> 3 D
    out: Linear  # D -> D
    mlp_norm: Tensor  # (D,)
    gate_up: Linear  # D -> 2 x 4 D
    down: Linear  # 4 D -> D

    @classmethod
    def fuse(cls, state: Mapping[str, Tensor], precision: str, device: torch.device) -> Layer:
        """Build a layer from the tensors under `tfmr.layers.N.` in the checkpoint."""

        # `cat` and `clone` read the checkpoint's file into memory. Copies to a GPU straight from a mapped file crawl or
        # hang on machines where both share their memory.
        def linear(*names: str) -> Linear:
            weight = torch.cat([state[f"{name}_proj.weight"] for name in names])
            return Linear(weight.to(device), precision=precision)

        def norm(name: str) -> Tensor:
            weight = state[f"{name}_layernorm.weight"].clone().to(device)
            return weight.to(PRECISIONS[precision]) if weight.dtype == torch.float32 else weight

        return cls(
            attention_norm=norm("input"),
            qkv=linear("self_attn.q", "self_attn.k", "self_attn.v"),
            out=linear("self_attn.o"),
            mlp_norm=norm("post_attention"),
            gate_up=linear("mlp.gate", "mlp.up"),
            down=linear("mlp.down"),
        )


class Llama:
    """Layers, their rotary positions and their cache. D is 1024, H heads of 64."""

    def __init__(self, config: LlamaConfig, norm: Tensor, dtype: torch.dtype) -> None:
        self.layers: list[Layer] = []
        self.dtype, self.device = dtype, norm.device
        self._norm = norm.to(dtype)
        self._eps = config.rms_norm_eps
        self._heads, self._width = config.num_attention_heads, config.head_dim
        self._angles = _rotary_table(config).to(self.device, dtype)  # (POSITIONS, 2, 3, 64)
        self._identity = torch.eye(self._width, dtype=dtype, device=self.device)
        self._swapped = self._identity.roll(self._width // 2, dims=0)
        self.rotates_by_product = self.device.type == "cuda"
        """Whether a step rotates its rows with one small matrix product instead of three kernels for elements. On the
        CPU those are faster, and round as upstream's do."""
        self.cache = self._empty_cache(0, 0)
        """Keys and values, (layers, rows, 2 H, POSITIONS, 64), in one tensor so that both are written at once."""
        self._starts = row_starts(self.cache)

    @property
    def positions(self) -> int:
        """How many positions of each row the cache has room for at present."""
        return self.cache.size(3)

    def reserve_cache(self, rows: int, positions: int) -> None:
        """Make room for this many rows and positions. The contents are kept, their address changes."""
        _, rows_now, _, positions_now, _ = self.cache.shape
        rows, positions = max(rows, rows_now), max(positions, positions_now)
        if (rows, positions) == (rows_now, positions_now):
            return
        grown = self._empty_cache(rows, positions)
        grown[: self.cache.size(0), :rows_now, :, :positions_now] = self.cache
        self.cache = grown
        self._starts = row_starts(grown)

    def clear_rows(self, rows: slice) -> None:
        """Zero rows of the cache: a NaN in them would get through any mask."""
        self.cache[:, rows] = 0

    def move_rows(self, source: slice, target: slice, positions: int) -> None:
        """Copy rows of the cache, as far as they are filled."""
        self.cache[:, target, :, :positions] = self.cache[:, source, :, :positions]

    def save_rows(self, rows: slice, positions: int) -> Tensor:
        """Return a copy of rows, as far as they are filled: (layers, R, 2 H, T, 64)."""
        return self.cache[:, rows, :, :positions].clone()

    def restore_rows(self, rows: slice, saved: Tensor) -> None:
        """Put back what `save_rows` returned, into any rows."""
        self.cache[:, rows, :, : saved.size(3)] = saved

    def prefill(self, x: Tensor, row: int) -> Tensor:
        """Process a prompt and cache it from `row` on. x: (R, T, D), overwritten. Returns (R, T, D), normed."""
        rows, length, _ = x.shape
        rotate = self._rotation(slice(0, length))
        for index, layer in enumerate(self.layers):

            def attend(q: Tensor, kv: Tensor, index: int = index) -> Tensor:
                self.cache[index, row : row + rows, :, :length] = kv.transpose(1, 2)
                return self._attend_causally(q, kv)

            x = self._layer_output(layer, x, rotate, attend)
        return self._rms_norm(x, self._norm)

    def step(self, x: Tensor, positions: Tensor, window: int | None) -> Tensor:
        """Process one more position of the first R rows. x: (R, D), overwritten. positions: (R,) int64.

        window: attention covers this many positions of every row: a number that depends on no tensor's contents.
        None: each row's own, by the kernel that reads them from `positions`.
        Returns (R, D), normed.
        """
        rows = x.size(0)
        index_of_row = torch.arange(rows, device=x.device)
        attend_cache = self._attend_lengths(positions) if window is None else self._attend_window(positions, window)
        rotate = self._rotation_by_product(positions) if self.rotates_by_product else self._rotation(positions)
        for index, layer in enumerate(self.layers):

            def attend(q: Tensor, kv: Tensor, index: int = index) -> Tensor:
                cache = self.cache[index]  # (rows, 2 H, POSITIONS, 64)
                cache[index_of_row, :, positions] = kv
                return attend_cache(q, cache)  # (R, D)

            x = self._layer_output(layer, x, rotate, attend)
        return self._rms_norm(x, self._norm)

    def forward_layer(self, layer: Layer, x: Tensor) -> Tensor:
        """Apply one layer to whole rows, without the cache. x: (R, T, D), overwritten. Returns the same shape."""
        return self._layer_output(layer, x, self._rotation(slice(0, x.size(1))), self._attend_causally)

    def _layer_output(self, layer: Layer, x: Tensor, rotate: Rotate, attend: Attend) -> Tensor:
        qkv = layer.qkv(self._rms_norm(x, layer.attention_norm)).view(*x.shape[:-1], 3, self._heads, self._width)
        qkv = rotate(qkv)
        q, kv = qkv[..., 0, :, :], qkv[..., 1:, :, :].flatten(-3, -2)  # (..., H, 64), (..., 2 H, 64)
        x = layer.out(attend(q, kv), residual=x)
        gate, up = layer.gate_up(self._rms_norm(x, layer.mlp_norm)).chunk(2, dim=-1)
        return layer.down(F.silu(gate) * up, residual=x)

    def _attend_causally(self, q: Tensor, kv: Tensor) -> Tensor:
        """Attend to earlier positions of the same rows. q: (R, T, H, 64). kv: (R, T, 2 H, 64). Returns (R, T, D)."""
        k, v = kv.transpose(1, 2).chunk(2, dim=1)  # (R, H, T, 64)
        return F.scaled_dot_product_attention(q.transpose(1, 2), k, v, is_causal=True).transpose(1, 2).flatten(2)

    def _attend_window(self, positions: Tensor, window: int) -> Callable[[Tensor, Tensor], Tensor]:
        ahead = torch.arange(window, device=self.device) > positions[:, None]  # (R, window)
        mask = torch.zeros(ahead.shape, dtype=self.dtype, device=self.device).masked_fill_(ahead, -torch.inf)
        return partial(attend_window, mask=mask[:, None, None])

    def _attend_lengths(self, positions: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        lengths = torch.add(positions, 1, out=torch.empty_like(positions, dtype=torch.int32))
        query_starts, key_starts = (starts[: len(positions) + 1] for starts in self._starts)
        return partial(attend_lengths, rows=RowLengths(query_starts, key_starts, lengths))

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.size(-1),), weight, self._eps)

    def _rotation(self, positions: Tensor | slice) -> Rotate:
        cos, sin = self._angles[positions, ..., None, :].unbind(-4)  # (..., 3, 1, 64)
        return lambda qkv: torch.addcmul(qkv * cos, qkv.roll(self._width // 2, dims=-1), sin)

    def _rotation_by_product(self, positions: Tensor) -> Rotate:
        """Return the same rotation as a matrix for q, k and v of each row. positions: (R,)."""
        cos, sin = self._angles[positions, ..., None, :].unbind(-4)  # (R, 3, 1, 64)
        turns = torch.addcmul(self._identity * cos, self._swapped, sin).flatten(0, 1)  # (3 R, 64, 64)
        return lambda qkv: torch.bmm(qkv.flatten(0, 1), turns).view_as(qkv)

    def _empty_cache(self, rows: int, positions: int) -> Tensor:
        shape = (len(self.layers), rows, 2 * self._heads, positions, self._width)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)


def _rotary_table(config: LlamaConfig) -> Tensor:
    """Return upstream's cosines and sines for q, k and v, (POSITIONS, 2, 3, 64) float32.

    Values are turned by nothing, so that the three stay in one tensor. The sines are signed, so that a roll replaces
    upstream's "rotate half".
    """
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(()), torch.arange(POSITIONS)[None])  # (1, POSITIONS, 64)
    half = config.head_dim // 2
    turn = torch.stack([cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)], dim=1)
    rest = torch.tensor([1.0, 0.0])[:, None].expand_as(turn)
    return torch.stack([turn, turn, rest], dim=2)
