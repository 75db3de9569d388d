"""The engine, as the service uses it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from monica.config import Settings
from monica.engine import Engine, Reference, SynthesisParams
from monica.engine import speak as speak_with
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.chatterbox.engine import RENDERING
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.slots import SLOTS
from monica.errors import ConfigError, DeadlineExceeded, InvalidText, SynthesisFailed, UnknownVoice

from .conftest import TEXT

Speak = Callable[..., NDArray[np.float32]]


pytestmark = pytest.mark.usefixtures("two_steps")


@pytest.fixture
def speak(engine: ChatterboxEngine, short: SynthesisParams) -> Speak:
    def speak(text: str = TEXT, **other: Any) -> NDArray[np.float32]:
        arguments: dict[str, Any] = {"voice": "monica", "params": short, "seed": 0}
        return speak_with(engine, text, **(arguments | other))

    return speak


def test_it_implements_the_engine_protocol(engine: ChatterboxEngine, settings: Settings) -> None:
    as_engine: Engine = engine
    assert (as_engine.name, as_engine.device, as_engine.clones) == ("chatterbox", "cpu", True)
    assert as_engine.model == f"chatterbox-multilingual t3 v3 fp32 {engine._digest[:12]}"
    assert as_engine.sample_rate == 24_000
    assert as_engine.slots in SLOTS
    for part in ("chatterbox", "v3", "fp32", "fr", engine._digest, f"rendering-{RENDERING}"):
        assert part in as_engine.fingerprint


def test_constructing_it_does_not_import_torch() -> None:
    code = """
import sys
from monica.config import Settings
from monica.engine.chatterbox import ChatterboxEngine
engine = ChatterboxEngine(Settings())
assert (engine.name, engine.device) == ("chatterbox", "auto")
heavy = {"torch", "transformers", "librosa", "huggingface_hub", "chatterbox"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_take(speak: Speak) -> None:
    take = speak()
    assert take.dtype == np.float32
    assert take.shape == (960 * 3,)
    assert np.isfinite(take).all()
    assert 0.01 < np.abs(take).max() <= 1


def test_a_take_depends_only_on_its_own_seed(speak: Speak) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = speak(seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(999)
    np.random.default_rng(0).random(9)
    other = speak(seed=6)
    np.testing.assert_array_equal(speak(seed=5), first)
    assert not np.array_equal(other, first)
    assert speak(seed=2**32 - 1).shape == first.shape


def test_another_voice_gives_another_take(engine: ChatterboxEngine, speak: Speak, reference: Reference) -> None:
    short = replace(reference, samples=reference.samples[: 2 * reference.sample_rate])
    engine.add_voice("other", engine.make_conditionals(short))
    assert not np.array_equal(speak(voice="other"), speak())


def test_an_unknown_voice_is_an_error(speak: Speak) -> None:
    with pytest.raises(UnknownVoice, match="nobody"):
        speak(voice="nobody")


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_text_is_an_error(speak: Speak, text: str) -> None:
    with pytest.raises(InvalidText):
        speak(text)


def test_a_text_longer_than_the_positions_is_an_error(speak: Speak) -> None:
    with pytest.raises(InvalidText, match="at most 2048") as raised:
        speak("ah, " * 800)
    assert raised.value.code == "text_too_long"


@pytest.mark.parametrize("text", ["🃏🃏 Ça y est… œuvre n° 3 !", "Владимир", "漢字"])
def test_any_other_text_gives_a_take(speak: Speak, text: str) -> None:
    assert np.isfinite(speak(text, params=SynthesisParams(max_tokens=2))).all()


def test_a_deadline_ends_a_take_and_the_next_one_is_correct(speak: Speak) -> None:
    before = speak()
    for call in (1, 3, 7):
        calls = 0

        def late(last: int = call) -> None:
            nonlocal calls
            calls += 1
            if calls == last:
                raise DeadlineExceeded("late")

        with pytest.raises(DeadlineExceeded):
            speak(check=late)
    np.testing.assert_array_equal(speak(), before)


@pytest.mark.parametrize(
    "name",
    [
        "t3.front.speech_head.weight",
        "t3.front.cond_enc.spkr_enc.bias",
        "s3gen.flow.encoder_proj.weight",
        "s3gen.mel2wav.conv_post.bias",
    ],
)
def test_weights_that_are_not_finite_fail_the_take(model: Model, speak: Speak, name: str) -> None:
    before = speak()
    part, _, path = name.partition(".")
    module = getattr(model, part)
    weight = module.front.get_parameter(path.partition(".")[2]) if part == "t3" else module.get_parameter(path)
    kept = weight.flatten()[0].clone()
    try:
        with torch.no_grad():
            weight.view(-1)[0] = torch.nan
        with pytest.raises(SynthesisFailed, match="not finite"):
            speak()
    finally:
        with torch.no_grad():
            weight.view(-1)[0] = kept
    np.testing.assert_array_equal(speak(), before)


def test_a_restart_reuses_the_conditionals_without_the_network(
    settings: Settings,
    engine: ChatterboxEngine,
    speak: Speak,
    short: SynthesisParams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import socket

    def refuse(*_: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("monica.engine.chatterbox.conditionals.encode_reference", refuse)
    kept = engine.make_conditionals(None)
    again = ChatterboxEngine(settings)
    with caplog.at_level(logging.INFO):
        again.load()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["device", "precision", "checkpoint"]
    assert f"t3_mtl23ls_v3, digest {again._digest[:12]}" in caplog.text
    again.add_voice("monica", kept)
    take = speak_with(again, TEXT, voice="monica", params=short, seed=0)
    np.testing.assert_array_equal(take, speak())
    assert again.fingerprint == engine.fingerprint


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_another_precision_is_another_engine(
    settings: Settings, engine: ChatterboxEngine, short: SynthesisParams, precision: str, caplog: Any
) -> None:
    other = ChatterboxEngine(replace(settings, precision=precision))
    with caplog.at_level(logging.INFO):
        other.load()
    other.add_voice("monica", other.make_conditionals(None))
    take = speak_with(other, TEXT, voice="monica", params=short, seed=0)
    assert take.shape == (960 * 3,)
    assert 0.01 < np.abs(take).max() <= 1
    assert other.fingerprint != engine.fingerprint
    assert f"precision: {precision}" in caplog.text
    assert "self-test: T3 agrees with float32 to" in caplog.text


def test_a_machine_that_computes_wrong_numbers_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monica.engine.chatterbox.llama import Llama

    step = Llama.step
    monkeypatch.setattr(Llama, "step", lambda *arguments: -step(*arguments))
    with pytest.raises(ConfigError, match="wrong numbers on cpu in bf16"):
        ChatterboxEngine(replace(settings, precision="bf16")).load()


@pytest.mark.parametrize("language", ["zh", "ja", "he", "ru"])
def test_an_unsupported_language_is_reported(settings: Settings, language: str) -> None:
    with pytest.raises(ConfigError, match=f"MONICA_LANGUAGE='{language}'"):
        ChatterboxEngine(replace(settings, language=language)).load()


def test_without_the_watermark_the_engine_does_not_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perth.PerthImplicitWatermarker", None)
    with pytest.raises(ConfigError, match="watermark"):
        ChatterboxEngine(settings).load()


def test_a_missing_device_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="CUDA cannot be used"):
        ChatterboxEngine(replace(settings, device="cuda")).load()


def test_a_missing_package_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monica.engine.chatterbox.model", None)
    with pytest.raises(ConfigError, match="make install EXTRA=chatterbox"):
        ChatterboxEngine(settings).load()


def test_it_cannot_be_used_before_loading(settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="has not run"):
        ChatterboxEngine(settings).make_conditionals(None)


def test_stages_are_timed(speak: Speak, engine: ChatterboxEngine, reference: Reference) -> None:
    def counts() -> dict[str, float]:
        return {
            stage: REGISTRY.get_sample_value("monica_stage_duration_seconds_count", {"stage": stage}) or 0
            for stage in ("conditionals", "t3", "s3gen", "watermark")
        }

    before = counts()
    speak()
    engine.make_conditionals(replace(reference, samples=reference.samples[: reference.sample_rate]))
    assert counts() == {stage: count + 1 for stage, count in before.items()}
