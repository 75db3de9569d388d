"""What a speech recogniser understands of the voices, over HTTP. It has no stake in any of them.

Skipped without the packages of the group `listen`; in CI they must be there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.announcements import FRENCH
from benchmarks.recogniser import Clip, Recogniser, character_error, installed
from monica.engine.pico.process import find_installation
from tests.support import system
from tests.support.server import Server

MAX_CHARACTER_ERROR = 0.15

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
