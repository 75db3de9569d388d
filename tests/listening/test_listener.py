"""The listener's process: whatever happens to it, no take is lost. A model that cannot be used is told in a line."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from monica.child_process import ChildProcess
from monica.config import Settings
from monica.errors import ConfigError
from monica.listening import listener as module
from monica.listening import model
from monica.listening.listener import Listener, ListeningFailed
from monica.listening.model import ListeningUnavailable, find_model, model_name, prefetch
from monica.store.hearing import TimedWord
from tests.support.server import ROOT

CHILD = ROOT / "tests" / "support" / "listening_child.py"


def fake_model(folder: Path, size: int = 10) -> Path:
    folder.mkdir(exist_ok=True)
    for name in model.FILES:
        (folder / name).write_bytes(bytes(size))
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(model, "installed", lambda: True)
    return replace(Settings(), listen_model=str(fake_model(tmp_path / "model")))


@pytest.fixture
def listener(settings: Settings, tmp_path: Path) -> Listener:
    listener = Listener(settings)
    environment = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = [{str(tmp_path)!r}];"
    command = [sys.executable, "-c", f"{environment} runpy.run_path({str(CHILD)!r}, run_name='__main__')"]
    listener._child = ChildProcess("The listener", command, module.MAX_ANSWER)
    return listener


@pytest.mark.parametrize("what", ["die", "eat"])
def test_a_take_is_heard_again_if_the_process_dies(
    listener: Listener, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = listener.hear(b"", "hear")
    assert (heard.told, heard.words) == ("hear", (TimedWord("hear", 0.1, 0.5),))
    before = listener.pid
    assert listener.hear(b"", what).told == what
    assert listener.pid != before
    assert "The listener's process is replaced" in caplog.text


def test_a_take_is_heard_again_if_the_process_is_killed(listener: Listener) -> None:
    assert listener.hear(b"", "hear").told == "hear"
    assert listener.pid is not None
    os.kill(listener.pid, signal.SIGKILL)
    assert listener.hear(b"", "hear").told == "hear"


def test_a_take_is_heard_again_if_the_process_hangs(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.hear(b"", "hear")
    monkeypatch.setattr(module, "MAX_WAIT_S", 5.0)
    assert listener.hear(b"", "hang").told == "hang"


def test_what_it_refuses_is_told(listener: Listener) -> None:
    with pytest.raises(ListeningFailed, match=r"cannot be listened to \(no reason\)"):
        listener.hear(b"", "refuse")


def test_a_model_that_is_missing_or_too_large_is_told_in_one_line(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cases = {
        "base": "not here yet: monica prefetch",
        str(tmp_path / "nowhere"): "lacks model.bin, config.json, tokenizer.json",
    }
    for name, reason in cases.items():
        with pytest.raises(ListeningUnavailable, match=reason):
            find_model(replace(settings, listen_model=name))
    monkeypatch.setattr(model, "free_memory", lambda: 2**20)
    with pytest.raises(ListeningUnavailable, match="choose a smaller model") as told:
        find_model(settings)
    assert "\n" not in told.value.message
    monkeypatch.setattr(model, "installed", lambda: False)
    with pytest.raises(ListeningUnavailable, match="--extra listen"):
        find_model(settings)
    with pytest.raises(ConfigError, match="--extra listen"):
        prefetch(settings)


def test_a_model_in_the_hubs_cache_is_found(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    published = model.MODELS["base"]
    folder = tmp_path / "models--Systran--faster-whisper-base" / "snapshots" / published.revision
    folder.parent.mkdir(parents=True)
    fake_model(folder)
    assert find_model(replace(settings, listen_model="base")) == folder


@pytest.mark.parametrize(("gibibytes", "name"), [(8, "small"), (64, "large-v3-turbo")])
def test_the_default_model_suits_the_machine(gibibytes: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_memory", lambda _: gibibytes * 2**30)
    assert model_name(Settings()) == name
