"""The decoding loop of T3: upstream's tokens, and an end of speech wherever it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine import Check, SynthesisParams
from monica.engine.chatterbox import t3
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.sampling import EOS, SPEECH_TOKENS
from monica.errors import DeadlineExceeded, SynthesisFailed

from .conftest import TEXT

TEXTS = [TEXT, "Bonsoir.", "Il reste 12 joueurs ; la pause est à 21 h 30, dit-elle : « À vous ! »"]


def no_check() -> None:
    pass


def run(model: Model, params: SynthesisParams, *, text: str = TEXT, seed: int = 0, check: Check = no_check) -> Tensor:
    tokens = model.tokenizer.tokenize(text)
    generator = torch.Generator().manual_seed(seed)
    return t3.decode(model.t3, tokens, model.builtin, params, generator, check)


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
                emotion_adv=params.exaggeration * torch.ones(1, 1, 1),
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
def logits_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, Tensor], None]], None]:
    """Let a function write into the logits of each step."""
    forward = t3.forward

    def install(write: Callable[[int, Tensor], None]) -> None:
        step = iter(range(10_000))

        def written(*arguments: Any) -> Tensor:
            logits = forward(*arguments)
            write(next(step), logits)
            return logits

        monkeypatch.setattr(t3, "forward", written)

    return install


@pytest.mark.parametrize(
    "params",
    [
        SynthesisParams(),
        SynthesisParams(cfg_weight=0.0),
        SynthesisParams(cfg_weight=1.0, exaggeration=1.5, temperature=1.0),
        SynthesisParams(min_p=0.0, top_p=0.9, repetition_penalty=2.0),
    ],
)
@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_upstreams(model: Model, upstream: Any, params: SynthesisParams, text: str) -> None:
    params = dataclasses.replace(params, max_tokens=20)
    for seed in (0, 12345):
        expected = run_upstream(upstream, params, text=text, seed=seed)
        assert run(model, params, text=text, seed=seed).tolist() == expected.tolist()
        assert len(set(expected.tolist())) > 10


def test_the_end_of_speech_comes_where_upstreams_does(model: Model, upstream: Any) -> None:
    params = SynthesisParams(max_tokens=60)
    heads = (model.t3.speech_head.weight, upstream.t3.speech_head.weight)
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
                # Without end of speech and the 40 ms of noise before it.
                assert run(model, params, seed=seed).tolist() == expected[:-2]
    finally:
        with torch.no_grad():
            for head, row in zip(heads, kept, strict=True):
                head[EOS] = row
    assert lengths, "no take of upstream's ended by itself: nothing was compared"


def test_no_end_of_speech_stops_at_the_cap(model: Model, logits_at: Any, caplog: pytest.LogCaptureFixture) -> None:
    def never(step: int, logits: Tensor) -> None:
        logits[:, EOS] = -torch.inf

    logits_at(never)
    assert len(run(model, SynthesisParams(max_tokens=5, cfg_weight=0.0))) == 5
    assert "no end of speech within 5 tokens" in caplog.text


@pytest.mark.parametrize("said", [0, 1])
def test_a_take_that_says_nothing_fails(model: Model, logits_at: Any, said: int) -> None:
    def end(step: int, logits: Tensor) -> None:
        logits[:, EOS] = 1000.0 if step == said else -1000.0

    logits_at(end)
    with pytest.raises(SynthesisFailed, match="before it said anything"):
        run(model, SynthesisParams(max_tokens=5))


def test_the_token_before_the_end_of_speech_is_cut(model: Model, logits_at: Any) -> None:
    whole = run(model, SynthesisParams(max_tokens=6))

    def end(step: int, logits: Tensor) -> None:
        logits[:, EOS] = 1000.0 if step == 4 else -1000.0

    logits_at(end)
    assert run(model, SynthesisParams(max_tokens=6)).tolist() == whole[:3].tolist()


@pytest.mark.parametrize("cfg_weight", [0.0, 0.5])
def test_ids_without_a_sound_never_come_out(model: Model, logits_at: Any, cfg_weight: float) -> None:
    def inject(step: int, logits: Tensor) -> None:
        logits[:, SPEECH_TOKENS] = 500.0
        logits[:, EOS + 1 :] = 500.0

    logits_at(inject)
    tokens = run(model, SynthesisParams(max_tokens=10, cfg_weight=cfg_weight))
    assert len(tokens) == 10
    assert int(tokens.max()) < SPEECH_TOKENS


def test_check_ends_a_take_between_two_steps(model: Model) -> None:
    calls = 0

    def late() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise DeadlineExceeded("late")

    before = run(model, SynthesisParams(max_tokens=6))
    with pytest.raises(DeadlineExceeded):
        run(model, SynthesisParams(max_tokens=6), check=late)
    assert calls == 4
    assert torch.equal(run(model, SynthesisParams(max_tokens=6)), before)


def test_takes_leave_no_hooks_and_no_conditionals_behind(model: Model) -> None:
    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.t3.modules())

    voice = {name: getattr(model.builtin, name).clone() for name in model.builtin.__slots__}
    before = hooks()
    for exaggeration in (0.5, 1.5, 0.5):
        run(model, SynthesisParams(max_tokens=3, exaggeration=exaggeration))
    assert hooks() == before
    assert all(torch.equal(getattr(model.builtin, name), kept) for name, kept in voice.items())


@pytest.mark.parametrize("other", [{"cfg_weight": 0.9}, {"temperature": 2.0}, {"min_p": 0.9}])
def test_a_parameter_changes_the_take_and_not_the_next(model: Model, other: dict[str, float]) -> None:
    params = SynthesisParams(max_tokens=12)
    before = run(model, params)
    assert run(model, dataclasses.replace(params, **other)).tolist() != before.tolist()  # type: ignore[arg-type]
    assert torch.equal(run(model, params), before)


def test_exaggeration_is_one_position_of_the_prompt(model: Model) -> None:
    def prompt(exaggeration: float) -> Tensor:
        params = SynthesisParams(exaggeration=exaggeration)
        return t3.embed_prompt(model.t3, model.tokenizer.tokenize(TEXT), model.builtin, params)

    calm, wild = prompt(0.5), prompt(1.5)
    changed = (calm != wild).any(dim=-1).any(dim=0)  # (P,)
    assert changed.nonzero().flatten().tolist() == [33]  # after the speaker and 32 positions of the perceiver
    torch.testing.assert_close(wild[:, 33], 3 * calm[:, 33])


def test_without_guidance_one_row_is_enough(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = set()
    forward = t3.forward

    def counted(*arguments: Any) -> Tensor:
        rows.add(arguments[1].size(0))
        return forward(*arguments)

    monkeypatch.setattr(t3, "forward", counted)
    run(model, SynthesisParams(max_tokens=2, cfg_weight=0.0))
    assert rows == {1}


def test_other_text_other_tokens(model: Model) -> None:
    params = SynthesisParams(max_tokens=12)
    assert run(model, params, text=TEXTS[1]).tolist() != run(model, params, text=TEXTS[2]).tolist()
