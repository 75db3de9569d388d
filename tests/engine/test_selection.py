from __future__ import annotations

import pytest

from monica.config import Settings
from monica.engine import selection
from monica.engine.accelerator import accelerator
from monica.engine.espeak import EspeakEngine
from monica.errors import ConfigError


def test_auto_without_an_accelerator_is_espeak_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: None)
    with caplog.at_level("INFO"):
        assert isinstance(selection.choose_engine(Settings()), EspeakEngine)
    assert "it is not Monica's cloned voice" in caplog.text


def test_auto_with_an_accelerator_but_no_chatterbox_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: "cuda")
    monkeypatch.setattr(selection, "chatterbox_installed", lambda: False)
    with pytest.raises(ConfigError, match="make install EXTRA=chatterbox"):
        selection.choose_engine(Settings())
    assert isinstance(selection.choose_engine(Settings(device="cpu")), EspeakEngine)
    assert isinstance(selection.choose_engine(Settings(engine="espeak")), EspeakEngine)


def test_chatterbox_asked_for_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "chatterbox_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"Chatterbox is not installed \(MONICA_ENGINE=chatterbox\)"):
        selection.choose_engine(Settings(engine="chatterbox"))


def test_chatterbox_on_a_cpu_that_was_asked_for() -> None:
    engine = selection.choose_engine(Settings(engine="chatterbox", device="cpu"))
    assert (engine.name, engine.device, engine.clones) == ("chatterbox", "cpu", True)


def test_an_accelerator_is_looked_for_without_torch() -> None:
    assert accelerator() in (None, "cuda", "mps")
