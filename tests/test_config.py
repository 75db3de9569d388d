from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from monica.audio.finish import Finisher
from monica.config import Settings
from monica.errors import ConfigError
from tests.support.server import ROOT
from tests.support.settings import written


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(f.metadata["name"] for f in fields(Settings)), *os.environ]:
        if name.startswith("MONICA_") or name in {f.metadata["name"] for f in fields(Settings)}:
            monkeypatch.delenv(name, raising=False)


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_env()
    assert settings == Settings()
    assert (settings.port, settings.host, settings.log_level) == (8080, "0.0.0.0", "info")
    assert settings.reference_audio == Path("26-monica--interview.wav")
    assert (settings.reference_duration_s, settings.max_text_length) == (120, 500)
    assert (settings.engine, settings.device, settings.t3, settings.language) == ("auto", "auto", "v3", "fr")
    assert (settings.model_dir, settings.model_revision) == (None, "main")
    assert (settings.cache_mb, settings.queue_size, settings.deadline_s, settings.threads) == (2048, 64, 30, 32)


def test_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("MONICA_ENGINE", "espeak")
    monkeypatch.setenv("MONICA_MODEL_DIR", "/models")
    monkeypatch.setenv("MONICA_DEADLINE_S", "2.5")
    settings = Settings.from_env()
    assert (settings.port, settings.engine, settings.deadline_s) == (9000, "espeak", 2.5)
    assert settings.model_dir == Path("/models")


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("MONICA_VOICE_UPLOADS", "on", "voice_uploads", True),
        ("MONICA_VOICE_UPLOADS", "off", "voice_uploads", False),
        ("MONICA_TRIM", "on", "trim", True),
        ("MONICA_TRIM", "off", "trim", False),
        ("MONICA_LOUDNESS", "-23", "loudness", -23.0),
        ("MONICA_LOUDNESS", "off", "loudness", None),
        ("MONICA_PEAK", "-0.5", "peak", -0.5),
        ("MONICA_PEAK", "off", "peak", None),
        ("MONICA_FALLBACK", "espeak", "fallback", "espeak"),
        ("MONICA_FALLBACK", "off", "fallback", None),
    ],
)
def test_switches_and_levels_have_their_types(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, read: bool | float | str | None
) -> None:
    monkeypatch.setenv(name, value)
    settings = Settings.from_env()
    assert (getattr(settings, field), type(getattr(settings, field))) == (read, type(read))


@pytest.mark.parametrize(
    ("environment", "version"),
    [
        ({}, "(2, -16.0, -1.0, True)"),
        ({"MONICA_LOUDNESS": "-16", "MONICA_PEAK": "-1", "MONICA_TRIM": "on"}, "(2, -16.0, -1.0, True)"),
        ({"MONICA_LOUDNESS": "-18.5", "MONICA_PEAK": "off", "MONICA_TRIM": "off"}, "(2, -18.5, None, False)"),
        ({"MONICA_LOUDNESS": "off"}, "(2, None, -1.0, True)"),
    ],
)
def test_the_part_of_the_cache_key_that_settings_make_stays(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], version: str
) -> None:
    """Whatever changes it orphans every kept take."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Finisher.from_settings(Settings.from_env()).version == version


def test_every_setting_says_what_it_is_for() -> None:
    for f in fields(Settings):
        assert re.fullmatch(r"[A-Z`].{10,200}\.", f.metadata["help"]), f.name


def test_an_empty_value_means_unset_except_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "MONICA_ENGINE", "MONICA_CACHE_DIR", "MONICA_MODEL_DIR", "REFERENCE_AUDIO"):
        monkeypatch.setenv(name, "")
    settings = Settings.from_env()
    assert settings.port == 8080
    assert settings.reference_audio is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "80x", "Not a valid integer."),
        ("PORT", "0", "Must be greater than or equal to 1"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "loud", "Must be one of: debug, info, warning, error."),
        ("MAX_TEXT_LENGTH", "5001", "less than or equal to 5000"),
        ("MONICA_ENGINE", "piper", "Must be one of: auto, chatterbox, espeak."),
        ("MONICA_DEVICE", "tpu", "Must be one of: auto, cuda, mps, cpu."),
        ("MONICA_T3", "v1", "Must be one of: v2, v3."),
        ("MONICA_FALLBACK", "chatterbox", "Must be one of: off, espeak."),
        ("MONICA_VOICE_UPLOADS", "true", "Must be one of: off, on."),
        ("MONICA_TRIM", "1", "Must be one of: on, off."),
        ("MONICA_LANGUAGE", "xx", "Must be one of: ar, da"),
        ("MONICA_DEADLINE_S", "nan", "not permitted"),
        ("MONICA_CACHE_MB", "-1", "Must be greater than"),
        ("REFERENCE_DURATION_S", "two", "Not a valid number."),
    ],
)
def test_a_wrong_value_is_an_error_of_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        Settings.from_env()
    message = str(caught.value)
    assert message.startswith(f"{name}={value!r}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MONICA_DEADLINE", "MONICA_DEADLINE_S"),
        ("MONICA_CACHE", "MONICA_CACHE_MB|MONICA_CACHE_DIR"),
        ("MONICA_ENGIN", "MONICA_ENGINE"),
    ],
)
def test_an_unknown_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch, typo: str, meant: str) -> None:
    monkeypatch.setenv(typo, "1")
    with pytest.raises(ConfigError, match=rf"^{typo} is not a setting of Monica. Did you mean ({meant})\?$"):
        Settings.from_env()


def test_the_page_of_settings_and_the_code_agree() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", page, re.MULTILINE))
    assert set(rows) == {f.metadata["name"] for f in fields(Settings)} | {"HF_HOME"}
    words = {"MONICA_CACHE_DIR": "the platform's cache folder"}
    for f in fields(Settings):
        name, default = f.metadata["name"], written(f)
        assert rows[name] == words.get(name, "none" if default is None else f"`{default}`"), name
