"""Frames that come chunk by chunk: the estimator makes of them what it makes of all of them together under a mask."""

from __future__ import annotations

import pytest
import torch
from chatterbox.models.s3gen import decoder as upstream_decoder
from torch import Tensor

from monica.engine.chatterbox import streaming_cache
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.streaming_cache import StreamingCache

from .test_estimator import MakeUpstream, make_upstream  # noqa: F401 - a fixture

CHUNK, CHUNKS = 7, 5
FRAMES = CHUNK * CHUNKS
STEP = 3


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = {"x": (1, FRAMES, 80), "mu": (1, FRAMES, 80), "speaker": (1, 80), "prompt": (1, FRAMES, 80)}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


@torch.inference_mode()
def chunk_by_chunk(
    estimator: Estimator, inputs: dict[str, Tensor], sizes: list[int], t_emb: Tensor | None = None
) -> Tensor:
    """Estimate frames chunk by chunk, the first of which is the prompt."""
    x, mu, speaker, prompt = (inputs[name].to(estimator.solver_dtype) for name in ("x", "mu", "speaker", "prompt"))
    t_emb = estimator.schedule(10).t_emb[STEP] if t_emb is None else t_emb
    cond_cache, cache = StreamingCache(), StreamingCache()
    velocities, begin = [], 0
    for size in sizes:
        part = slice(begin, begin + size)
        cond = estimator.cond_features(mu[:, part], speaker, prompt[:, part], cond_cache)
        velocities.append(estimator(x[:, part], cond, t_emb, cache=cache))
        if begin == 0:
            cond_cache, cache = StreamingCache(cond_cache), StreamingCache(cache)
        begin += size
    return torch.cat(velocities, dim=1)


@torch.inference_mode()
def masked(estimator: Estimator, inputs: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Estimate all frames at once. mask: (T, T), true if the row's frame attends to the column's."""
    x, mu, speaker, prompt = (inputs[name].to(estimator.solver_dtype) for name in ("x", "mu", "speaker", "prompt"))
    added = torch.zeros(mask.shape, dtype=estimator.dtype).masked_fill(~mask, -torch.inf)[None, None]
    return estimator(x, estimator.cond_features(mu, speaker, prompt), estimator.schedule(10).t_emb[STEP], added)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.inference_mode()
def test_chunk_by_chunk_it_equals_upstream_under_a_chunk_mask(
    make_upstream: MakeUpstream,  # noqa: F811
    inputs: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    within: float,
) -> None:
    # Upstream's own refuses float64.
    monkeypatch.setattr(upstream_decoder, "mask_to_bias", lambda mask, dtype: (1 - mask.to(dtype)) * -1e10)
    upstream = make_upstream(dtype)
    rows = {name: tensor.to(dtype).expand(2, *tensor.shape[1:]).clone() for name, tensor in inputs.items()}
    for name in ("mu", "speaker", "prompt"):
        rows[name][1] = 0
    t = 1 - torch.cos(torch.linspace(0, 1, 11, dtype=dtype) * 0.5 * torch.pi)

    def whole(chunk: int) -> Tensor:
        upstream.static_chunk_size = chunk
        velocities: Tensor = upstream(
            x=rows["x"].transpose(1, 2),
            mask=torch.ones(2, 1, FRAMES, dtype=dtype),
            mu=rows["mu"].transpose(1, 2),
            t=t[[STEP, STEP]],
            spks=rows["speaker"],
            cond=rows["prompt"].transpose(1, 2),
        )
        return velocities.transpose(1, 2)

    expected, unmasked = whole(CHUNK), whole(0)
    ours = chunk_by_chunk(Estimator(upstream), inputs, [CHUNK] * CHUNKS)
    torch.testing.assert_close(ours, expected, atol=within, rtol=0)
    assert (ours - unmasked).abs().max() > 1e-3


def test_a_take_forgets_old_frames_but_never_its_prompt(
    make_upstream: MakeUpstream,  # noqa: F811
    inputs: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reach, sizes = 9, [8, 5, 7, 12, 3]
    monkeypatch.setattr(streaming_cache, "REACH", reach)
    estimator = Estimator(make_upstream(torch.float64))
    attended = torch.zeros(FRAMES, FRAMES, dtype=torch.bool)
    begin = 0
    for size in sizes:
        rows = slice(begin, begin + size)
        attended[rows, : sizes[0]] = True  # the prompt
        attended[rows, max(sizes[0], begin - reach) if begin else 0 : begin + size] = True
        begin += size
    ours = chunk_by_chunk(estimator, inputs, sizes)
    torch.testing.assert_close(ours, masked(estimator, inputs, attended), atol=1e-9, rtol=0)


def test_two_takes_of_a_voice_share_its_prompt_and_nothing_else() -> None:
    prompt = StreamingCache()
    layer = object()
    frames = torch.arange(6.0).view(1, 1, 6, 1)
    prompt.append_kv(layer, frames[:, :, :2], frames[:, :, :2])
    prompt.prepend_context(layer, frames[0, :, :2], 1)
    first, second = StreamingCache(prompt), StreamingCache(prompt)
    assert first.append_kv(layer, frames[:, :, 2:3], frames[:, :, 2:3])[0].flatten().tolist() == [0, 1, 2]
    assert second.append_kv(layer, frames[:, :, 4:5], frames[:, :, 4:5])[0].flatten().tolist() == [0, 1, 4]
    assert first.append_kv(layer, frames[:, :, 3:4], frames[:, :, 3:4])[1].flatten().tolist() == [0, 1, 2, 3]
    assert first.prepend_context(layer, frames[0, :, 3:4], 1).flatten().tolist() == [1, 3]
    assert second.prepend_context(layer, frames[0, :, 4:5], 1).flatten().tolist() == [1, 4]
    assert StreamingCache(prompt).prepend_context(layer, frames[0, :, 5:], 1).flatten().tolist() == [1, 5]
