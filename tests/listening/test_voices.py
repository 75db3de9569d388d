"""What a speech recogniser understands of the voices, over HTTP. It has no stake in any of them.

Skipped without the packages of the group `listen`; in CI they must be there.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from benchmarks.announcements import ENGLISH, FRENCH
from benchmarks.recogniser import Clip, Recogniser, character_error, english_voice, installed, word_error
from monica.engine.pico.process import find_installation
from monica.engine.piper import spec
from tests.support import system
from tests.support.server import Server

MAX_CHARACTER_ERROR = 0.15
MAX_WORD_ERROR = 0.05

if not installed() and not system.REQUIRED:
    pytest.skip("the group `listen` is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if find_installation() is None:
        pytest.skip("Pico has no package for this system")
    folder = tmp_path_factory.mktemp("pico")
    with Server(folder, {"MONICA_ENGINE": "pico", "MONICA_CACHE_DIR": str(folder / "cache")}) as server:
        yield server.wait_ready()


@pytest.fixture(scope="module")
def heard(recogniser: Recogniser, pico: Server) -> list[Clip]:
    return recogniser.hear(FRENCH, [say(pico, text) for text in FRENCH])


@pytest.fixture(scope="module")
def piper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not spec.installed() and not system.REQUIRED:
        pytest.skip("the extra `piper` is not installed")
    folder = tmp_path_factory.mktemp("piper")
    settings = {
        "MONICA_ENGINE": "piper",
        "MONICA_LANGUAGE": "en",
        "MONICA_PIPER_VOICE": str(english_voice()),
        "MONICA_CACHE_DIR": str(folder / "cache"),
    }
    with Server(folder, settings) as server:
        yield server.wait_ready()


def say(server: Server, text: str) -> bytes:
    answer = server.say(text)
    assert answer.status_code == 200
    return answer.content


def test_thirty_announcements_by_pico_are_understood(
    heard: list[Clip], recogniser: Recogniser, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(len(clip.said) for clip in heard) == len(FRENCH) == 30
    error = character_error([(clip.said, clip.heard) for clip in heard])
    espeak = recogniser.hear(FRENCH[:9], [say(server, text) for text in FRENCH[:9]])
    with capsys.disabled():
        print(
            f"\ncharacters heard wrong: Pico {error:.3f}, espeak-ng "
            f"{character_error([(clip.said, clip.heard) for clip in espeak]):.3f}"
        )
    assert error <= MAX_CHARACTER_ERROR


def test_the_same_check_fails_on_other_sentences(heard: list[Clip]) -> None:
    others = [*heard[1:], heard[0]]
    assert character_error([(a.said, b.heard) for a, b in zip(heard, others, strict=True)]) > 4 * MAX_CHARACTER_ERROR
    shuffled = [(tuple(sorted(clip.said)), clip.heard) for clip in heard]
    assert character_error(shuffled) > MAX_CHARACTER_ERROR


def test_twenty_announcements_by_piper_are_understood(
    recogniser: Recogniser, piper: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = recogniser.hear(ENGLISH, [say(piper, text) for text in ENGLISH], "en")
    assert sum(len(clip.said) for clip in heard) == len(ENGLISH) == 20
    error = word_error([(clip.said, clip.heard) for clip in heard])
    with capsys.disabled():
        print(f"\nwords heard wrong: Piper {error:.3f}")
    assert error <= MAX_WORD_ERROR
    others = [*heard[1:], heard[0]]
    assert word_error([(a.said, b.heard) for a, b in zip(heard, others, strict=True)]) > 10 * MAX_WORD_ERROR


def test_a_seed_decides_what_piper_says_however_many_ask(piper: Server) -> None:
    def take(seed: int) -> bytes:
        body = {"text": "The game starts in five minutes.", "seed": seed}
        answer = requests.post(f"{piper.url}/blabla", json=body, headers={"Cache-Control": "no-cache"}, timeout=60)
        assert (answer.status_code, answer.headers["X-Monica-Engine"]) == (200, "piper")
        return answer.content

    with ThreadPoolExecutor(4) as pool:
        first, second, third, fourth = pool.map(take, (1, 2, 1, 2))
    assert first == third != second == fourth


def test_piper_needs_less_than_300_mb(piper: Server) -> None:
    """Proportional set size: what the worker shares with the master it was forked from counts once."""
    say(piper, "Please take your seats, the final table is about to begin, and the blinds are one hundred.")
    master = psutil.Process(piper.process.pid)
    family = [master, *master.children(recursive=True)]
    assert sum(each.memory_full_info().pss for each in family) < 300 * 2**20


def test_the_licence_of_the_voice_is_shown(piper: Server) -> None:
    voices = requests.get(f"{piper.url}/v1/audio/voices", timeout=10).json()["voices"]
    assert voices == [{"id": "monica", "name": "monica", "license": "CC0"}]
    model = requests.get(f"{piper.url}/health", timeout=10).json()["model"]
    assert model == "Piper en_US-joe-medium, licence of its recordings: CC0"
