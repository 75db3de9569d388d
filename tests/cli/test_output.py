"""Where a command's output goes: a file in the format of its suffix, or a standard output that may be lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from click.testing import CliRunner, Result

from monica.audio.wav import wav_pcm
from monica.cli import main
from monica.config import Settings
from tests.support.command import monica
from tests.support.kept import keep, metadata, server_store, sound
from tests.support.server import ROOT, clean_environment

TEXT = "Pablo est éliminé."
KEY = metadata(TEXT).recipe.key


@pytest.fixture
def cache(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a cache with one phrase; the command line has them too."""
    monkeypatch.setenv("MONICA_CACHE_DIR", str(settings.cache_dir))
    monkeypatch.setenv("MONICA_ENGINE", "espeak")
    store = server_store(settings)
    keep(store, TEXT, 3.0)
    store.close()
    return settings


def play_to(file: Path) -> Result:
    return CliRunner().invoke(main, ["cache", "play", KEY, "-o", str(file)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".WAV", "pcm_s16le"), (".flac", "flac"), (".mp3", "mp3float"), (".opus", "opus"),
                          (".ogg", "opus"), (".aac", "aac")]
)  # fmt: skip
def test_suffix_chooses_the_format(cache: Settings, tmp_path: Path, suffix: str, codec: str) -> None:
    assert play_to(tmp_path / f"a{suffix}").exit_code == 0
    with av.open(str(tmp_path / f"a{suffix}")) as found:
        assert found.streams.audio[0].codec_context.name == codec


def test_file_of_samples_or_without_a_suffix(cache: Settings, tmp_path: Path) -> None:
    play_to(tmp_path / "a.pcm")
    assert (tmp_path / "a.pcm").read_bytes() == wav_pcm(sound(TEXT, 3.0))
    play_to(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == sound(TEXT, 3.0)


def test_unknown_suffix_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    for command in (["say", "Tapis !"], ["cache", "play", "0"]):
        done = CliRunner().invoke(main, [*command, "-o", str(tmp_path / "tapis.mp4")])
        assert done.exit_code == 1
        known = ".aac, .flac, .mp3, .ogg, .opus, .pcm, .wav"
        assert done.stderr == f"monica: {tmp_path}/tapis.mp4: there is no format for .mp4. Known: {known}.\n"
    assert list(tmp_path.iterdir()) == []


def test_say_writes_the_format_of_the_suffix(tmp_path: Path) -> None:
    file = tmp_path / "tapis.mp3"
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    done = monica("say", "Tapis de Rusmir !", "-o", str(file), **settings)
    assert done.returncode == 0, done.stderr
    with av.open(str(file)) as found:
        assert found.format.name == "mp3"


@contextmanager
def lost_output(kind: str) -> Iterator[int | None]:
    """Return a standard output that cannot be written: a full disk, or a pipe that no one reads; None: closed."""
    if kind == "closed":
        yield None
        return
    if kind == "full":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    try:
        yield output
    finally:
        os.close(output)


COMMANDS = [["cache", "--help"], ["cache", "ls"], ["cache", "play", KEY, "-o", "-"]]


@pytest.mark.parametrize("command", COMMANDS, ids=["help", "ls", "play"])
@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("full", 1, b"monica: standard output cannot be written: No space left on device\n"),
        ("closed", 1, b"monica: standard output cannot be written: it is closed\n"),
        ("unread", 141, b""),
    ],
)
def test_lost_output_is_told_in_one_line(
    cache: Settings, command: list[str], kind: str, code: int, says: bytes
) -> None:
    run = [sys.executable, "-c", "from monica.cli import main; main()", *command]
    if kind == "closed":
        run = ["sh", "-c", 'exec "$@" >&-', "sh", *run]
    environment = clean_environment(MONICA_CACHE_DIR=str(cache.cache_dir), MONICA_ENGINE="espeak")
    with lost_output(kind) as output:
        done = subprocess.run(
            run, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (code, says)


def test_command_that_prints_nothing_needs_no_output(cache: Settings, tmp_path: Path) -> None:
    """As under cron, with both of them closed. No file is opened in their places."""
    file = tmp_path / "a.wav"
    command = 'exec "$@" >&- 2>&-'
    run = [sys.executable, "-c", "from monica.cli import main; main()", "cache", "play", KEY, "-o", str(file)]
    environment = clean_environment(MONICA_CACHE_DIR=str(cache.cache_dir), MONICA_ENGINE="espeak")
    done = subprocess.run(["sh", "-c", command, "sh", *run], cwd=ROOT, env=environment, timeout=60, check=False)
    assert done.returncode == 0
    assert file.read_bytes() == sound(TEXT, 3.0)
