"""T3's transformer, a Llama: fused matrices, a static key-value cache, one position a row at each step.

Rows decode side by side, each at its own position; nothing here depends on what a row is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from monica.engine.torch.linear import PRECISIONS, Linear

POSITIONS = 3072
"""Positions the cache can hold of one row: the longest prompt and a thousand speech tokens."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


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
        cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(()), torch.arange(POSITIONS)[None])  # (1, POSITIONS, 64)
        half = self._width // 2
        self._cos = cos[0].to(self.device)
        # Signed, so that a roll replaces upstream's "rotate half".
        self._sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1).to(self.device)
        self.keys = self.values = self._empty_cache(0, 0)

    @property
    def positions(self) -> int:
        """How many positions of each row the cache has room for at present."""
        return self.keys.size(3)

    def reserve_cache(self, rows: int, positions: int) -> None:
        """Make room for this many rows and positions. The contents are kept, their address changes."""
        rows, positions = max(rows, self.keys.size(1)), max(positions, self.keys.size(3))
        if (rows, positions) == (self.keys.size(1), self.keys.size(3)):
            return
        self.keys, self.values = (self._grown_cache(cache, rows, positions) for cache in (self.keys, self.values))

    def clear_rows(self, rows: slice) -> None:
        """Zero rows of the cache: a NaN in them would get through any mask."""
        self.keys[:, rows] = self.values[:, rows] = 0

    def move_rows(self, source: slice, target: slice, positions: int) -> None:
        """Copy rows of the cache, as far as they are filled."""
        for cache in (self.keys, self.values):
            cache[:, target, :, :positions] = cache[:, source, :, :positions]

    def save_rows(self, rows: slice, positions: int) -> tuple[Tensor, Tensor]:
        """Return a copy of rows, as far as they are filled: keys and values, (layers, R, H, T, 64) each."""
        keys, values = (cache[:, rows, :, :positions].clone() for cache in (self.keys, self.values))
        return keys, values

    def restore_rows(self, rows: slice, saved: tuple[Tensor, Tensor]) -> None:
        """Put back what `save_rows` returned, into any rows."""
        for cache, kept in zip((self.keys, self.values), saved, strict=True):
            cache[:, rows, :, : kept.size(3)] = kept

    def prefill(self, x: Tensor, row: int) -> Tensor:
        """Process a prompt and cache it from `row` on. x: (R, T, D), overwritten. Returns (R, T, D), normed."""
        rows, length, _ = x.shape
        rotation = self._rotation(slice(0, length), x.dtype)
        for index, layer in enumerate(self.layers):

            def attend(q: Tensor, k: Tensor, v: Tensor, index: int = index) -> Tensor:
                q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # (R, H, T, 64)
                self.keys[index, row : row + rows, :, :length] = k
                self.values[index, row : row + rows, :, :length] = v
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return mixed.transpose(1, 2).reshape(rows, length, -1)

            x = self._layer_output(layer, x, rotation, attend)
        return self._rms_norm(x, self._norm)

    def step(self, x: Tensor, positions: Tensor, window: int) -> Tensor:
        """Process one more position of the first R rows. x: (R, D), overwritten. positions: (R,).

        Attention covers the first `window` positions of the cache: a number that depends on no tensor's contents.
        Returns (R, D), normed.
        """
        rows = torch.arange(x.size(0), device=x.device)
        ahead = torch.arange(window, device=x.device) > positions[:, None]  # (R, window)
        mask = torch.zeros(ahead.shape, dtype=x.dtype, device=x.device).masked_fill(ahead, -torch.inf)[:, None, None]
        rotation = self._rotation(positions, x.dtype)
        for index, layer in enumerate(self.layers):

            def attend(q: Tensor, k: Tensor, v: Tensor, index: int = index) -> Tensor:
                keys, values = self.keys[index], self.values[index]  # (rows, H, POSITIONS, 64)
                keys[rows, :, positions] = k
                values[rows, :, positions] = v
                cached = slice(0, len(rows)), slice(None), slice(0, window)
                mixed = F.scaled_dot_product_attention(q[:, :, None], keys[cached], values[cached], attn_mask=mask)
                return mixed.flatten(1)  # (R, D)

            x = self._layer_output(layer, x, rotation, attend)
        return self._rms_norm(x, self._norm)

    def forward_layer(self, layer: Layer, x: Tensor) -> Tensor:
        """Apply one layer to whole rows, without the cache. x: (R, T, D), overwritten. Returns the same shape."""

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k, v = (part.transpose(1, 2) for part in (q, k, v))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)

        return self._layer_output(layer, x, self._rotation(slice(0, x.size(1)), x.dtype), attend)

    def _layer_output(self, layer: Layer, x: Tensor, rotation: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        cos, sin = rotation
        qkv = layer.qkv(self._rms_norm(x, layer.attention_norm)).view(*x.shape[:-1], -1, self._width)
        qk, v = torch.split(qkv, [2 * self._heads, self._heads], dim=-2)  # (..., 2 H, 64), (..., H, 64)
        qk = torch.addcmul(qk * cos, qk.roll(self._width // 2, dims=-1), sin)
        q, k = qk.chunk(2, dim=-2)
        x = layer.out(attend(q, k, v), residual=x)
        gate, up = layer.gate_up(self._rms_norm(x, layer.mlp_norm)).chunk(2, dim=-1)
        return layer.down(F.silu(gate) * up, residual=x)

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.size(-1),), weight, self._eps)

    def _rotation(self, positions: Tensor | slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return self._cos[positions, None].to(dtype), self._sin[positions, None].to(dtype)  # (..., 1, 64)

    def _grown_cache(self, cache: Tensor, rows: int, positions: int) -> Tensor:
        grown = self._empty_cache(rows, positions)
        grown[: cache.size(0), : cache.size(1), :, : cache.size(3)] = cache
        return grown

    def _empty_cache(self, rows: int, positions: int) -> Tensor:
        shape = (len(self.layers), rows, self._heads, positions, self._width)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)
