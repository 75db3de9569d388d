"""T3 with a single take: the same tokens as upstream, and an end of speech at any step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.single_take import generate_tokens
from monica.engine import SynthesisParams
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.prompt import embed_prompt
from monica.engine.chatterbox.sampling import EOS, SPEECH_TOKENS
from monica.engine.chatterbox.t3 import T3
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.errors import InvalidText, SynthesisFailed

from .conftest import TEXT

TEXTS = [
    TEXT,
    "Bonsoir.",
    "Il reste 12 joueurs ; la pause est à 21 h 30, dit-elle : « À vous ! »",
    "a",
    "tapis tapis tapis tapis tapis tapis tapis tapis",
    "Pablo vient de se faire éliminer par Rusmir ! " * 10,
]
PARAMS = [
    SynthesisParams(),
    SynthesisParams(cfg_weight=0.0),
    SynthesisParams(cfg_weight=1.0, exaggeration=1.5, temperature=1.0),
    SynthesisParams(min_p=0.0, top_p=0.9, repetition_penalty=2.0),
]

Run = Callable[..., Tensor]
Write = Callable[[int, Tensor], None]


@pytest.fixture
def run(t3: T3, tokenizer: TextTokenizer, voice: Conditionals) -> Run:
    def run(params: SynthesisParams, *, text: str = TEXT, seed: int = 0) -> Tensor:
        return generate_tokens(t3, tokenizer.tokenize(text), voice, params, torch.Generator().manual_seed(seed))

    return run


def run_upstream(upstream: Any, params: SynthesisParams, *, text: str, seed: int) -> Tensor:
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.mtl_tts import punc_norm

    ids = upstream.tokenizer.text_to_tokens(punc_norm(text), language_id="fr")
    ids = torch.nn.functional.pad(torch.nn.functional.pad(ids, (1, 0), value=255), (0, 1), value=0)
    voice = upstream.conds.t3
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        tokens: Tensor = upstream.t3.inference(
            t3_cond=T3Cond(
                speaker_emb=voice.speaker_emb,
                cond_prompt_speech_tokens=voice.cond_prompt_speech_tokens,
                emotion_adv=params.exaggeration * torch.ones(1, 1, 1, device=upstream.device),
            ),
            text_tokens=torch.cat([ids, ids]),
            max_new_tokens=params.max_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            min_p=params.min_p,
            repetition_penalty=params.repetition_penalty,
            cfg_weight=params.cfg_weight,
        )
    return tokens[0]


@pytest.fixture
def logits_at(t3: T3, monkeypatch: pytest.MonkeyPatch) -> Callable[[Write], None]:
    """Return a function that installs a hook, which can write into the logits (2 S, V) of each step."""
    forward = t3.front.speech_head.forward

    def install(write: Write) -> None:
        step = iter(range(10_000))

        def overwritten(hidden: Tensor) -> Tensor:
            logits: Tensor = forward(hidden)
            write(next(step), logits)
            return logits

        monkeypatch.setattr(t3.front.speech_head, "forward", overwritten)

    return install


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("text", TEXTS)
def test_tokens_equal_upstreams(run: Run, upstream: Any, params: SynthesisParams, text: str) -> None:
    """The same ids for twenty-four combinations of text, parameters and seed, twenty tokens each."""
    params = dataclasses.replace(params, max_tokens=20)
    seed = TEXTS.index(text) * 1000 + PARAMS.index(dataclasses.replace(params, max_tokens=1000))
    expected = run_upstream(upstream, params, text=text, seed=seed)
    assert run(params, text=text, seed=seed).tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 10


@pytest.mark.parametrize(
    "params",
    [
        SynthesisParams(exaggeration=0.25, cfg_weight=0.0, temperature=0.05, repetition_penalty=1.0, min_p=0.0),
        SynthesisParams(exaggeration=2.0, cfg_weight=1.0, temperature=5.0, repetition_penalty=2.0, min_p=1.0),
        SynthesisParams(top_p=0.01, min_p=0.0),
    ],
)
def test_parameters_at_the_limits_of_their_ranges(run: Run, upstream: Any, params: SynthesisParams) -> None:
    params = dataclasses.replace(params, max_tokens=8)
    expected = run_upstream(upstream, params, text=TEXT, seed=3)
    assert run(params, seed=3).tolist() == expected.tolist()


def test_speech_ends_where_upstreams_does(run: Run, t3: T3, upstream: Any) -> None:
    params = SynthesisParams(max_tokens=60)
    heads = (t3.front.speech_head.weight, upstream.t3.speech_head.weight)
    kept = [head[EOS].clone() for head in heads]
    lengths = []
    try:
        with torch.no_grad():
            for head in heads:
                head[EOS, 0] += 0.55
        for seed in range(6):
            expected = run_upstream(upstream, params, text=TEXT, seed=seed).tolist()
            if expected[-1] == EOS and len(expected) > 2:
                lengths.append(len(expected))
                assert run(params, seed=seed).tolist() == expected[:-1]
    finally:
        with torch.no_grad():
            for head, row in zip(heads, kept, strict=True):
                head[EOS] = row
    assert lengths, "none of upstream's takes ended by itself, so nothing was compared"


def test_without_end_of_speech_a_take_stops_at_max_tokens(run: Run, logits_at: Any) -> None:
    def never(step: int, logits: Tensor) -> None:
        logits[:, EOS] = -torch.inf

    logits_at(never)
    assert len(run(SynthesisParams(max_tokens=5, cfg_weight=0.0))) == 5


@pytest.mark.parametrize("end_step", [0, 1])
def test_a_take_has_the_tokens_before_the_end_of_speech(run: Run, logits_at: Any, end_step: int) -> None:
    def end(step: int, logits: Tensor) -> None:
        logits[:, EOS] = 1000.0 if step == end_step else -1000.0

    logits_at(end)
    tokens = run(SynthesisParams(max_tokens=5))
    assert (tokens.shape, tokens.dtype) == ((end_step,), torch.int64)


def test_the_token_before_the_end_of_speech_is_kept(run: Run, logits_at: Any) -> None:
    whole = run(SynthesisParams(max_tokens=6))

    def end(step: int, logits: Tensor) -> None:
        logits[:, EOS] = 1000.0 if step == 4 else -1000.0

    logits_at(end)
    assert run(SynthesisParams(max_tokens=6)).tolist() == whole[:4].tolist()


@pytest.mark.parametrize("cfg_weight", [0.0, 0.5])
def test_ids_without_a_sound_are_never_generated(run: Run, logits_at: Any, cfg_weight: float) -> None:
    def inject(step: int, logits: Tensor) -> None:
        logits[:, SPEECH_TOKENS] = 500.0
        logits[:, EOS + 1 :] = 500.0

    logits_at(inject)
    tokens = run(SynthesisParams(max_tokens=10, cfg_weight=cfg_weight))
    assert len(tokens) == 10
    assert int(tokens.max()) < SPEECH_TOKENS


def test_values_not_finite_fail_the_take_but_not_the_next(run: Run, t3: T3) -> None:
    params = SynthesisParams(max_tokens=4)
    before = run(params)
    weight = t3.front.tfmr.norm.weight
    layer = t3.llama.layers[0]
    with torch.inference_mode():
        layer.attention_norm.mul_(torch.nan)
        with pytest.raises(SynthesisFailed, match="not finite"):
            run(params)
        layer.attention_norm.copy_(torch.ones_like(weight))
    expected = run(params)
    assert len(expected) == 4
    assert before.tolist() != []
    # No NaN stays in the cache, masked or not.
    assert t3.llama.cache.isfinite().all()


@pytest.mark.parametrize("steps", range(6))
def test_a_take_may_be_dropped_between_any_two_steps(
    run: Run, t3: T3, tokenizer: TextTokenizer, voice: Conditionals, steps: int
) -> None:
    params = SynthesisParams(max_tokens=6)
    before = run(params)
    take = t3.add_sequence(tokenizer.tokenize(TEXTS[1]), voice, params, torch.Generator().manual_seed(1))
    for _ in range(steps):
        t3.step()
    t3.free_sequence(take)
    assert t3.running == []
    assert (len(take.tokens), take.done) == (steps, False)
    assert torch.equal(run(params), before)


def test_a_text_longer_than_the_cache_is_an_error(run: Run, t3: T3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.engine.chatterbox.t3.POSITIONS", 60)
    with pytest.raises(InvalidText) as raised:
        run(SynthesisParams(max_tokens=4))
    assert raised.value.code == "text_too_long"
    assert t3.running == []


def test_the_longest_possible_text_leaves_room_for_speech(run: Run) -> None:
    assert len(run(SynthesisParams(max_tokens=2), text="ah, " * 500)) == 2


def test_takes_do_not_modify_the_conditionals(run: Run, voice: Conditionals) -> None:
    kept = {name: getattr(voice, name).clone() for name in voice.__slots__}
    for exaggeration in (0.5, 1.5, 0.5):
        run(SynthesisParams(max_tokens=3, exaggeration=exaggeration))
    assert all(torch.equal(getattr(voice, name), tensor) for name, tensor in kept.items())


@pytest.mark.parametrize("other", [{"cfg_weight": 0.9}, {"temperature": 2.0}, {"min_p": 0.9}])
def test_a_parameter_changes_its_take_but_not_the_next(run: Run, other: dict[str, float]) -> None:
    params = SynthesisParams(max_tokens=12)
    before = run(params)
    assert run(dataclasses.replace(params, **other)).tolist() != before.tolist()  # type: ignore[arg-type]
    assert torch.equal(run(params), before)


def test_exaggeration_affects_one_position_of_the_prompt(t3: T3, tokenizer: TextTokenizer, voice: Conditionals) -> None:
    def prompt(exaggeration: float) -> Tensor:
        return embed_prompt(t3.front, tokenizer.tokenize(TEXT), voice, SynthesisParams(exaggeration=exaggeration))

    calm, wild = prompt(0.5), prompt(1.5)
    changed = (calm != wild).any(dim=-1).any(dim=0)  # (P,)
    assert changed.nonzero().flatten().tolist() == [33]  # after the speaker and 32 positions of the perceiver
    torch.testing.assert_close(wild[:, 33], 3 * calm[:, 33])


def test_without_guidance_one_row_is_prefilled(run: Run, t3: T3, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = set()
    prefill = t3.llama.prefill

    def counted(x: Tensor, row: int) -> Tensor:
        rows.add(x.size(0))
        return prefill(x, row)

    monkeypatch.setattr(t3.llama, "prefill", counted)
    run(SynthesisParams(max_tokens=2, cfg_weight=0.0))
    assert rows == {1}


def test_another_text_gives_other_tokens(run: Run) -> None:
    params = SynthesisParams(max_tokens=12)
    assert run(params, text=TEXTS[1]).tolist() != run(params, text=TEXTS[2]).tolist()
