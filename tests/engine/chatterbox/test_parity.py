"""T3's logits against those of upstream's modules, at every step, for given ids; and in other precisions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from chatterbox.models.t3.modules.cond_enc import T3Cond
from torch import Tensor
from transformers import DynamicCache
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopPLogitsWarper,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from monica.engine import SynthesisParams
from monica.engine.chatterbox import selftest
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.llama import Layer
from monica.engine.chatterbox.prompt import embed_prompt
from monica.engine.chatterbox.sampling import BOS, SamplingTensors, guide, probabilities
from monica.engine.chatterbox.t3 import T3
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.errors import ConfigError

TEXT = "Rusmir relance, Pablo suit."
IDS = torch.tensor([BOS, *torch.randint(0, 6561, (24,), generator=torch.Generator().manual_seed(1)).tolist()])
PARAMS = SynthesisParams(top_p=0.9, repetition_penalty=1.7)


@pytest.fixture
def exact_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace upstream's norms, which round to float32 internally and so hide any difference below 1e-7."""

    def forward(self: Any, hidden: Tensor) -> Tensor:
        normed = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        weighted: Tensor = self.weight * normed
        return weighted

    monkeypatch.setattr(LlamaRMSNorm, "forward", forward)


def upstream_logits(t3: Any, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams) -> Iterator[Tensor]:
    """Feed IDS to upstream's own modules. Yields the logits after each, (2, V)."""
    dtype = t3.speech_head.weight.dtype
    embeds, _ = t3.prepare_input_embeds(
        t3_cond=T3Cond(
            speaker_emb=voice.speaker_embedding.to(dtype),
            cond_prompt_speech_tokens=voice.prompt_tokens,
            emotion_adv=torch.full((1, 1, 1), params.exaggeration, dtype=dtype),
        ),
        text_tokens=text_tokens.expand(2, -1),
        speech_tokens=torch.full((2, 1), BOS),
        cfg_weight=params.cfg_weight,
    )
    cache = DynamicCache(config=t3.cfg)
    for index, token in enumerate(IDS):
        embed = t3.speech_emb(token.view(1, 1)) + t3.speech_pos_emb.get_fixed_embedding(index)
        embed = embed.expand(2, -1, -1)
        x = torch.cat([embeds, embed], dim=1) if index == 0 else embed
        hidden = t3.tfmr(inputs_embeds=x, past_key_values=cache, use_cache=True).last_hidden_state
        yield t3.speech_head(hidden[:, -1])


@torch.inference_mode()
def compare(t3: T3, upstream_t3: Any, text_tokens: Tensor, voice: Conditionals) -> tuple[float, float, float]:
    """Return the largest differences: of raw logits, of guided logits, of probabilities."""
    ours = t3.teacher_forced_logits(embed_prompt(t3.front, text_tokens, voice, PARAMS), IDS)
    raw = guided = processed = 0.0
    generated_mask = torch.zeros(1, ours.size(-1), dtype=torch.bool)
    params = SamplingTensors.allocate(1, torch.device("cpu"))
    params.set_slot(0, PARAMS)
    for index, theirs in enumerate(upstream_logits(upstream_t3, text_tokens, voice, PARAMS)):
        raw = max(raw, float((ours[index] - theirs).abs().max()))
        expected = theirs[:1] + PARAMS.cfg_weight * (theirs[:1] - theirs[1:])
        found = guide(ours[index][None], params.cfg_weight)
        guided = max(guided, float((found - expected).abs().max()))
        generated = IDS[None, : index + 1]
        generated_mask[0, generated] = True
        expected = RepetitionPenaltyLogitsProcessor(PARAMS.repetition_penalty)(generated, expected) / PARAMS.temperature
        expected = TopPLogitsWarper(PARAMS.top_p)(generated, MinPLogitsWarper(PARAMS.min_p)(generated, expected))
        expected = torch.softmax(expected, dim=-1)
        processed = max(processed, float((probabilities(found, generated_mask, params) - expected).abs().max()))
    assert ours.abs().max() > 1
    return raw, guided, processed


def test_in_float64_the_logits_equal_upstreams_to_1e_9(
    make_t3: Any, upstream: Any, tokenizer: TextTokenizer, voice: Conditionals, exact_norms: None
) -> None:
    theirs = copy.deepcopy(upstream.t3).double()
    raw, guided, _ = compare(make_t3(torch.float64), theirs, tokenizer.tokenize(TEXT), voice)
    assert raw < 1e-9
    assert guided < 1e-9


def test_in_float32_the_logits_equal_upstreams_to_1e_4(
    t3: T3, upstream: Any, tokenizer: TextTokenizer, voice: Conditionals
) -> None:
    raw, guided, processed = compare(t3, upstream.t3, tokenizer.tokenize(TEXT), voice)
    assert raw < 1e-4
    assert guided < 2e-4
    assert processed < 1e-5


@pytest.mark.parametrize(("precision", "cosine", "divergence"), [("bf16", 0.999, 0.02), ("int8", 0.995, 0.1)])
def test_faster_precisions_stay_near_float32(
    t3: T3,
    make_t3: Any,
    tokenizer: TextTokenizer,
    voice: Conditionals,
    precision: str,
    cosine: float,
    divergence: float,
) -> None:
    with torch.inference_mode():
        prompt = embed_prompt(t3.front, tokenizer.tokenize(TEXT), voice, PARAMS)
    exact, near = t3.teacher_forced_logits(prompt, IDS), make_t3(precision=precision).teacher_forced_logits(prompt, IDS)
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    found = F.cosine_similarity(near.flatten(1), exact.flatten(1)).min()
    assert found > cosine
    # KL(exact || near) of the distributions to draw from, in nats
    log_exact, log_near = (torch.log_softmax(logits[:, 0], dim=-1) for logits in (exact, near))
    assert F.kl_div(log_near, log_exact, log_target=True, reduction="batchmean") < divergence


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_self_test_accepts_a_correct_model(make_t3: Any, checkpoint_dir: Any, precision: str) -> None:
    from monica.engine.chatterbox.weights import load_t3

    front, layers = load_t3(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
    expected = selftest.expected_logits(front, layers)
    t3 = T3(front, layers, precision=precision)
    assert selftest.check_agreement(t3, expected) > (0.99999 if precision == "fp32" else 0.995)
    assert t3.running == []


@pytest.mark.parametrize("mistake", ["wrong_values", "nan", "missing_layer"])
def test_the_self_test_refuses_a_wrong_model(make_t3: Any, checkpoint_dir: Any, mistake: str) -> None:
    from monica.engine.chatterbox.weights import load_t3

    front, layers = load_t3(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
    expected = selftest.expected_logits(front, layers)
    t3 = T3(front, layers)
    first: Layer = t3.llama.layers[0]
    if mistake == "missing_layer":
        t3.llama.layers.pop()
    else:
        first.attention_norm.fill_(torch.nan if mistake == "nan" else -3.0)  # only in this T3
    with pytest.raises(ConfigError, match=r"wrong numbers on cpu in fp32.*MONICA_PRECISION"):
        selftest.check_agreement(t3, expected)
