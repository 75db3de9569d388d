"""The sampler: equal to upstream's processors, and what upstream leaves out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopPLogitsWarper,
)

from monica.engine import SynthesisParams
from monica.engine.chatterbox.sampling import (
    BOS,
    EOS,
    FAILED,
    SPEECH_TOKENS,
    SamplingTensors,
    guide,
    needs_top_p,
    sample_token,
)
from monica.engine.chatterbox.sampling import probabilities as all_probabilities

V = 8194
SETTINGS = [
    SynthesisParams(),
    SynthesisParams(top_p=0.8),
    SynthesisParams(min_p=0.0, top_p=0.3, temperature=1.0),
    SynthesisParams(min_p=0.3, repetition_penalty=2.0, temperature=0.05),
    SynthesisParams(min_p=0.0, top_p=1.0, temperature=5.0),
]


def logits(seed: int, *, invalid: float = -10_000.0) -> Tensor:
    values = 3 * torch.randn(V, generator=torch.Generator().manual_seed(seed))
    values[SPEECH_TOKENS:] += invalid
    values[EOS] = 5.0
    return values


def generated_mask(*ids: int) -> Tensor:
    mask = torch.zeros(V, dtype=torch.bool)
    mask[[BOS, *ids]] = True
    return mask


def tensors(*params: SynthesisParams) -> SamplingTensors:
    tensors = SamplingTensors.allocate(len(params), torch.device("cpu"))
    for slot, each in enumerate(params):
        tensors.set_slot(slot, each)
    return tensors


def probabilities(values: Tensor, mask: Tensor, params: SynthesisParams) -> Tensor:
    return all_probabilities(values[None], mask[None], tensors(params))[0]


def exponential_noise(generator: torch.Generator) -> Tensor:
    return torch.empty(1, V).exponential_(1, generator=generator)


def upstream_probabilities(values: Tensor, ids: list[int], params: SynthesisParams) -> Tensor:
    generated = torch.tensor([[BOS, *ids]])
    scores = RepetitionPenaltyLogitsProcessor(params.repetition_penalty)(generated, values[None])
    scores = scores / params.temperature
    scores = MinPLogitsWarper(params.min_p)(generated, scores)
    scores = TopPLogitsWarper(params.top_p)(generated, scores)
    return torch.softmax(scores, dim=-1)[0]


@pytest.mark.parametrize("params", SETTINGS)
@pytest.mark.parametrize("seed", range(5))
def test_probabilities_equal_upstreams(params: SynthesisParams, seed: int) -> None:
    values = logits(seed)
    best = int(values.argmax())
    expected = upstream_probabilities(values, [best, best, 17], params)
    ours = probabilities(values, generated_mask(best, 17), params)
    assert torch.equal(ours > 0, expected > 0)
    torch.testing.assert_close(ours, expected, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("params", SETTINGS)
def test_ids_without_a_sound_do_not_affect_which_speech_tokens_are_kept(params: SynthesisParams) -> None:
    values = logits(1, invalid=0.0)
    expected = upstream_probabilities(values, [], params)
    ours = probabilities(values, generated_mask(), params)
    sounds = torch.arange(V) < SPEECH_TOKENS
    assert torch.equal(ours[sounds] > 0, expected[sounds] > 0)
    assert ours[SPEECH_TOKENS].item() == 0
    assert (ours[EOS + 1 :] == 0).all()


@pytest.mark.parametrize("params", SETTINGS)
@pytest.mark.parametrize("injected", [BOS, EOS + 1, 8193])
def test_an_id_without_a_sound_is_never_drawn(params: SynthesisParams, injected: int) -> None:
    values = logits(2)
    values[injected] = 1000.0
    probs = probabilities(values, generated_mask(), params)
    assert probs[injected] == 0
    assert probs.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("values", [logits(1, invalid=0.0), 40 * logits(2), logits(3).double().mul(1e-6).float()])
@pytest.mark.parametrize(
    "params", [SynthesisParams(), SynthesisParams(min_p=1.0), SynthesisParams(min_p=1e-9, temperature=0.05)]
)
def test_without_top_p_nothing_changes_if_the_sort_is_left_out(params: SynthesisParams, values: Tensor) -> None:
    """Bit for bit: flat distributions, and those in which nearly all ids have a probability of exactly 0."""
    assert not needs_top_p(params)
    sorting = probabilities(values, generated_mask(17), params)
    plain = all_probabilities(values[None], generated_mask(17)[None], tensors(params), top_p=False)[0]
    assert torch.equal(plain, sorting)


@pytest.mark.parametrize(
    "params", [SynthesisParams(top_p=0.999), SynthesisParams(min_p=0.0), SynthesisParams(top_p=0.5, min_p=0.9)]
)
def test_what_top_p_may_drop_is_sorted(params: SynthesisParams) -> None:
    assert needs_top_p(params)


def test_at_top_p_1_without_min_p_the_sort_matters() -> None:
    """It drops an id whose probability is exactly 0, beside one without a sound that would be certain."""
    values = logits(2)
    values[BOS] = 1000.0
    params = SynthesisParams(min_p=0.0)
    sorting = probabilities(values, generated_mask(), params)
    plain = all_probabilities(values[None], generated_mask()[None], tensors(params), top_p=False)[0]
    assert int((sorting > 0).sum()) == 1
    assert int((plain > 0).sum()) > 1


def test_slots_do_not_mix() -> None:
    """Each slot, with its own parameters and its own earlier tokens, gets what it would get alone."""
    values = torch.stack([logits(seed) for seed in range(len(SETTINGS))])
    masks = torch.stack([generated_mask(seed, 2 * seed) for seed in range(len(SETTINGS))])
    together = all_probabilities(values, masks, tensors(*SETTINGS))
    for slot, params in enumerate(SETTINGS):
        torch.testing.assert_close(together[slot], probabilities(values[slot], masks[slot], params))


def test_a_draw_equals_torch_multinomial() -> None:
    probs = torch.softmax(logits(3), dim=-1)
    ours, theirs = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    for _ in range(200):
        assert sample_token(probs[None], exponential_noise(ours)) == torch.multinomial(probs, 1, generator=theirs)


def test_draws_follow_the_probabilities() -> None:
    probs = torch.zeros(1, V)
    probs[0, :3] = torch.tensor([0.5, 0.3, 0.2])
    generator = torch.Generator().manual_seed(0)
    counts = torch.bincount(
        torch.cat([sample_token(probs, exponential_noise(generator)) for _ in range(4000)]), minlength=3
    )
    assert (counts / 4000).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_not_finite_fail_only_their_slot(value: float) -> None:
    values = torch.stack([logits(4), logits(4)])
    values[0, 100] = value
    probs = all_probabilities(
        values, torch.stack([generated_mask(), generated_mask()]), tensors(SynthesisParams(), SynthesisParams())
    )
    tokens = sample_token(probs, torch.ones(2, V))
    assert tokens[0] == FAILED
    assert tokens[1] == int(logits(4).argmax())


def test_guidance() -> None:
    rows = torch.stack([logits(5), logits(6)])
    weights = tensors(SynthesisParams(cfg_weight=0.5), SynthesisParams(cfg_weight=0.0)).cfg_weight
    guided = guide(torch.stack([rows, rows]), weights)
    assert torch.equal(guided[0], rows[0] + 0.5 * (rows[0] - rows[1]))
    assert torch.equal(guided[1], rows[0])


def test_without_guidance_the_unconditional_row_is_ignored() -> None:
    rows = torch.stack([logits(5), torch.full((V,), torch.nan)])
    assert torch.equal(guide(rows[None], torch.zeros(1, 1))[0], rows[0])
