"""Frames that come piece by piece: what the estimator makes of them is what it makes of all of them under a mask."""

from __future__ import annotations

import pytest
import torch
from chatterbox.models.s3gen import decoder as upstream_decoder
from torch import Tensor

from monica.engine.chatterbox import past as past_module
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.past import Past

from .test_estimator import MakeUpstream, make_upstream  # noqa: F401 - a fixture

CHUNK, CHUNKS = 7, 5
FRAMES = CHUNK * CHUNKS
STEP = 3


@pytest.fixture(scope="module")
def drawn() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = {"x": (1, FRAMES, 80), "mu": (1, FRAMES, 80), "speaker": (1, 80), "prompt": (1, FRAMES, 80)}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


@torch.inference_mode()
def piecewise(estimator: Estimator, drawn: dict[str, Tensor], sizes: list[int]) -> Tensor:
    """Estimate frames piece by piece, the first being the prompt."""
    x, mu, speaker, prompt = (drawn[name].to(estimator.solver_dtype) for name in ("x", "mu", "speaker", "prompt"))
    times = estimator.schedule(10).times[STEP]
    given_past, past = Past(), Past()
    told, begin = [], 0
    for size in sizes:
        part = slice(begin, begin + size)
        given = estimator.given(mu[:, part], speaker, prompt[:, part], given_past)
        told.append(estimator(x[:, part], given, times, past=past))
        if begin == 0:
            given_past, past = Past(given_past), Past(past)
        begin += size
    return torch.cat(told, dim=1)


@torch.inference_mode()
def masked(estimator: Estimator, drawn: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Estimate all frames at once. mask: (T, T), true where a row hears a column."""
    x, mu, speaker, prompt = (drawn[name].to(estimator.solver_dtype) for name in ("x", "mu", "speaker", "prompt"))
    added = torch.zeros(mask.shape, dtype=estimator.dtype).masked_fill(~mask, -torch.inf)[None, None]
    return estimator(x, estimator.given(mu, speaker, prompt), estimator.schedule(10).times[STEP], added)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.inference_mode()
def test_chunk_by_chunk_it_is_upstreams_under_a_chunk_mask(
    make_upstream: MakeUpstream,  # noqa: F811
    drawn: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    within: float,
) -> None:
    # Upstream's refuses float64.
    monkeypatch.setattr(upstream_decoder, "mask_to_bias", lambda mask, dtype: (1 - mask.to(dtype)) * -1e10)
    upstream = make_upstream(dtype)
    rows = {name: tensor.to(dtype).expand(2, *tensor.shape[1:]).clone() for name, tensor in drawn.items()}
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
    ours = piecewise(Estimator(upstream), drawn, [CHUNK] * CHUNKS)
    torch.testing.assert_close(ours, expected, atol=within, rtol=0)
    assert (ours - unmasked).abs().max() > 1e-3


def test_a_take_forgets_what_is_long_ago_and_never_its_prompt(
    make_upstream: MakeUpstream,  # noqa: F811
    drawn: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reach, sizes = 9, [8, 5, 7, 12, 3]
    monkeypatch.setattr(past_module, "REACH", reach)
    estimator = Estimator(make_upstream(torch.float64))
    heard = torch.zeros(FRAMES, FRAMES, dtype=torch.bool)
    begin = 0
    for size in sizes:
        rows = slice(begin, begin + size)
        heard[rows, : sizes[0]] = True  # the prompt
        heard[rows, max(sizes[0], begin - reach) if begin else 0 : begin + size] = True
        begin += size
    ours = piecewise(estimator, drawn, sizes)
    torch.testing.assert_close(ours, masked(estimator, drawn, heard), atol=1e-9, rtol=0)


def test_two_takes_of_a_voice_share_its_prompt_and_nothing_else() -> None:
    prompt = Past()
    layer = object()
    frames = torch.arange(6.0).view(1, 1, 6, 1)
    prompt.join(layer, frames[:, :, :2], frames[:, :, :2])
    prompt.lead(layer, frames[0, :, :2], 1)
    first, second = Past(prompt), Past(prompt)
    assert first.join(layer, frames[:, :, 2:3], frames[:, :, 2:3])[0].flatten().tolist() == [0, 1, 2]
    assert second.join(layer, frames[:, :, 4:5], frames[:, :, 4:5])[0].flatten().tolist() == [0, 1, 4]
    assert first.join(layer, frames[:, :, 3:4], frames[:, :, 3:4])[1].flatten().tolist() == [0, 1, 2, 3]
    assert first.lead(layer, frames[0, :, 3:4], 1).flatten().tolist() == [1, 3]
    assert second.lead(layer, frames[0, :, 4:5], 1).flatten().tolist() == [1, 4]
    assert Past(prompt).lead(layer, frames[0, :, 5:], 1).flatten().tolist() == [1, 5]
