from __future__ import annotations

from dataclasses import replace

import pytest

from monica.config import Settings
from monica.engine import selection
from monica.engine.accelerator import accelerator
from monica.engine.chatterbox import spec as chatterbox
from monica.engine.espeak import EspeakEngine
from monica.engine.pico import spec as pico
from monica.engine.pico.engine import PicoEngine
from monica.engine.piper import spec as piper
from monica.engine.piper.engine import PiperEngine
from monica.engine.registry import EMBEDDED
from monica.errors import ConfigError


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatterbox, "SPEC", replace(chatterbox.SPEC, installed=lambda: False))


@pytest.fixture
def without_pico(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(pico, "find_installation", lambda: None)


@pytest.fixture
def without_piper(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the base install."""
    monkeypatch.setattr(piper, "installed", lambda: False)


@pytest.mark.usefixtures("without_piper")
def test_auto_without_an_accelerator_is_pico_and_says_how_to_get_better(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: None)
    with caplog.at_level("INFO"):
        assert isinstance(selection.choose_engine(Settings()), PicoEngine)
    assert [r.message for r in caplog.records] == [
        "engine: pico, an embedded voice; it is not Monica's cloned voice (auto: neither CUDA nor MPS is here, or "
        "MONICA_DEVICE=cpu; not piper: it is not installed (for a better voice: make install EXTRA=piper, then monica "
        "prefetch))"
    ]


@pytest.mark.usefixtures("without_pico")
def test_auto_without_pico_is_espeak_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: None)
    with caplog.at_level("INFO"):
        assert isinstance(selection.choose_engine(Settings()), EspeakEngine)
    assert "engine: espeak, " in caplog.text
    assert "; not pico: it has no package for this system)" in caplog.text
    with pytest.raises(ConfigError, match=r"Pico is not installed \(MONICA_ENGINE=pico\)"):
        selection.choose_engine(Settings(engine="pico"))


def test_auto_in_a_language_that_pico_does_not_speak_is_espeak(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert isinstance(selection.choose_engine(Settings(language="pl", device="cpu")), EspeakEngine)
    assert "not pico: it does not speak pl" in caplog.text


def test_auto_is_piper_if_its_files_are_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: None)
    monkeypatch.setattr(piper, "SPEC", replace(piper.SPEC, why_not=lambda settings: None, installed=lambda: True))
    with caplog.at_level("INFO"):
        assert isinstance(selection.choose_engine(Settings()), PiperEngine)
    assert "engine: piper, an embedded voice; it is not Monica's cloned voice (auto: neither" in caplog.text


@pytest.mark.usefixtures("without_piper")
def test_piper_asked_for_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piper, "SPEC", replace(piper.SPEC, installed=lambda: False))
    with pytest.raises(
        ConfigError, match=r"Piper is not installed \(MONICA_ENGINE=piper\); .* make install EXTRA=piper"
    ):
        selection.choose_engine(Settings(engine="piper"))


@pytest.mark.parametrize("name", EMBEDDED[1:])
def test_an_embedded_engine_may_be_asked_for(name: str) -> None:
    assert selection.choose_engine(Settings(engine=name)).name == name


@pytest.mark.usefixtures("not_installed")
def test_auto_with_an_accelerator_but_no_chatterbox_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: "cuda")
    with pytest.raises(ConfigError, match="make install EXTRA=chatterbox"):
        selection.choose_engine(Settings())
    assert isinstance(selection.choose_engine(Settings(device="cpu")), PicoEngine)
    assert isinstance(selection.choose_engine(Settings(engine="espeak")), EspeakEngine)


@pytest.mark.usefixtures("not_installed")
def test_chatterbox_asked_for_and_not_installed() -> None:
    with pytest.raises(ConfigError) as caught:
        selection.choose_engine(Settings(engine="chatterbox"))
    assert str(caught.value) == (
        "Chatterbox is not installed (MONICA_ENGINE=chatterbox); install it with: make install EXTRA=chatterbox, "
        "or set MONICA_ENGINE=espeak."
    )


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_auto_with_an_accelerator_is_chatterbox(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, device: str
) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: device)
    with caplog.at_level("INFO"):
        assert selection.choose_engine(Settings()).name == "chatterbox"
    assert f"engine: chatterbox (auto: {device} is here)" in caplog.text


def test_chatterbox_on_a_cpu_that_was_asked_for() -> None:
    engine = selection.choose_engine(Settings(engine="chatterbox", device="cpu"))
    assert (engine.name, engine.device, engine.clones) == ("chatterbox", "cpu", True)


def test_the_accelerator_is_found_without_torch() -> None:
    assert accelerator() in (None, "cuda", "mps")
