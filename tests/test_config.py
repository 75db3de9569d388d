from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from monica.config import Settings
from monica.errors import ConfigError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(f.metadata["name"] for f in fields(Settings)), *os.environ]:
        if name.startswith("MONICA_") or name in {f.metadata["name"] for f in fields(Settings)}:
            monkeypatch.delenv(name, raising=False)


def test_defaults_are_the_contracts() -> None:
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


def test_empty_means_unset_but_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("MONICA_LANGUAGE", "xx", "Must be one of: ar, da"),
        ("MONICA_DEADLINE_S", "nan", "not permitted"),
        ("MONICA_CACHE_MB", "-1", "Must be greater than"),
        ("REFERENCE_DURATION_S", "two", "Not a valid number."),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
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


def test_readme_and_settings_agree() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    table = readme.partition("## Settings")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", table, re.MULTILINE))
    assert set(rows) == {f.metadata["name"] for f in fields(Settings)} | {"HF_HOME"}
    words = {"MONICA_CACHE_DIR": "the platform's cache folder"}
    for f in fields(Settings):
        name = f.metadata["name"]
        default = f.default
        written = "none" if default is None else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        expected = words.get(name, written)
        assert rows[name] == expected, name
