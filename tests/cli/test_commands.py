from __future__ import annotations

import io
from pathlib import Path

import pytest
import soundfile

from tests.support.command import monica
from tests.support.server import Server


@pytest.fixture
def espeak(tmp_path: Path) -> dict[str, str]:
    return {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}


def test_say_writes_a_wav(tmp_path: Path, espeak: dict[str, str]) -> None:
    output = tmp_path / "monica.wav"
    done = monica("say", "Pablo vient de se faire éliminer par Rusmir!", "-o", str(output), **espeak)
    assert done.returncode == 0, done.stderr
    assert 1 < soundfile.info(output).duration < 5
    assert b"espeak" in done.stderr


def test_say_to_standard_output(espeak: dict[str, str]) -> None:
    done = monica("say", "Bonjour.", "-o", "-", **espeak)
    assert soundfile.info(io.BytesIO(done.stdout)).samplerate == 22050


def test_a_running_server_says_it(tmp_path: Path, espeak: dict[str, str]) -> None:
    (tmp_path / "key").write_text("une-clef")
    with Server(tmp_path, espeak | {"MONICA_API_KEY": "une-clef"}) as server:
        url = ("--url", server.wait_ready().url)
        refused = monica("say", "Bonjour.", "-o", "-", *url)
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert refused.stderr.startswith(b"monica: the server refused: This needs the API key: ")
        said = monica("say", "Bonjour.", "--seed", "7", "-o", "-", *url, MONICA_API_KEY_FILE=str(tmp_path / "key"))
        assert soundfile.info(io.BytesIO(said.stdout)).samplerate == 22050
    gone = monica("say", "Bonjour.", "-o", "-", *url)
    assert (gone.returncode, gone.stderr.count(b"\n")) == (1, 1)
    assert gone.stderr.startswith(b"monica: no Monica answers at ")


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["say", "..."], {}, "The text has nothing to say."),
        (["say", "Bonjour.", "-o", "/no/such/folder/a.wav"], {}, "cannot be written"),
        (["say", "Bonjour."], {"MONICA_CACHE_DIR": "/proc/monica"}, "MONICA_CACHE_DIR='/proc/monica' cannot be used"),
        (["say", "Bonjour."], {"MONICA_ENGIN": "espeak"}, "Did you mean MONICA_ENGINE?"),
        (["prefetch"], {"MONICA_MODEL_DIR": "/tmp"}, "nothing is downloaded"),
    ],
)
def test_a_failure_is_one_line(
    espeak: dict[str, str], arguments: list[str], settings: dict[str, str], says: str
) -> None:
    done = monica(*arguments, **(espeak | settings))
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("monica: ")
    assert says in last
    assert b"Traceback" not in done.stderr


def test_doctor_is_green_on_a_laptop(espeak: dict[str, str]) -> None:
    done = monica("doctor", **espeak)
    assert done.returncode == 0, done.stdout
    assert b"FAIL" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if b"listening:" not in line]  # if its extra is installed
    assert [line.split(b":")[0].split()[-1] for line in lines] == [
        b"cache",
        b"pico",
        b"espeak",
        b"engine",
    ]


def test_doctor_is_red_and_says_what_to_do(espeak: dict[str, str]) -> None:
    done = monica("doctor", **(espeak | {"MONICA_CACHE_DIR": "/proc/monica", "MONICA_CACHE_MB": "1"}))
    assert done.returncode == 1
    assert b"FAIL cache: /proc/monica cannot be written" in done.stdout
    assert b"-> Set MONICA_CACHE_DIR" in done.stdout
    full = monica("doctor", **(espeak | {"MONICA_CACHE_MB": "1000000"}))
    assert full.returncode == 1
    assert b"-> Free some space" in full.stdout


def test_doctor_examines_what_chatterbox_needs(tmp_path: Path, espeak: dict[str, str]) -> None:
    settings = {
        "MONICA_ENGINE": "chatterbox",
        "MONICA_DEVICE": "cpu",
        "MONICA_MODEL_DIR": str(tmp_path),
        "REFERENCE_AUDIO": "/no/such.wav",
    }
    done = monica("doctor", **(espeak | settings))
    assert done.returncode == 1
    text = done.stdout.decode()
    assert "FAIL checkpoint: MONICA_MODEL_DIR=" in text
    assert "ve.pt" in text
    assert "FAIL reference audio: REFERENCE_AUDIO='/no/such.wav'" in text
    assert "ok   watermark: Perth is loaded" in text
    assert "ok   device: cpu" in text
