"""monica cache listen: kept phrases are listened to without a server. The ears are the tests' own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from monica.cli import main
from monica.config import Settings
from monica.listening import listener
from monica.store.catalogue import Catalogue
from monica.synthesis.durations import NAME, DurationModels
from tests.support.ears import FakeEars
from tests.support.kept import keep, metadata, server_store

TEXTS = ("Pablo perd la main.", "La main est pour Rusmir.", "Bravo, Élise !")


@pytest.fixture
def ears(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FakeEars:
    monkeypatch.setenv("MONICA_CACHE_DIR", str(settings.cache_dir))
    monkeypatch.setenv("MONICA_ENGINE", "espeak")
    store = server_store(settings)
    for text in TEXTS:
        keep(store, text, 3.0)
    store.close()
    found = FakeEars()
    monkeypatch.setattr(listener, "Listener", lambda settings: found)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cache", *arguments], catch_exceptions=False)


def test_a_misheard_phrase_is_marked_until_a_person_accepts_it(ears: FakeEars) -> None:
    ears.mishear = lambda text: text.replace("Rusmir", "Bernard")
    done = run("listen")
    assert done.exit_code == 1
    assert "doubtful: La main est pour [Rusmir: Bernard]." in done.stdout
    assert done.stdout.splitlines()[-1] == "2 good, 1 doubtful. See: monica cache review"
    assert run("listen").stdout == "Every phrase has been listened to.\n"
    ears.heard.clear()
    assert run("review", metadata(TEXTS[1]).recipe.key[:12], "--keep").exit_code == 0
    assert run("listen", "--again").exit_code == 0
    assert sorted(ears.heard) == sorted((TEXTS[0], TEXTS[2])), "what was accepted stays as it is"


def test_the_duration_is_compared_with_the_pace_of_the_voice(ears: FakeEars, settings: Settings) -> None:
    durations = DurationModels(settings.cache_dir / NAME)
    for n in range(1, 30):
        durations.learn(replace(metadata(TEXTS[0]).recipe, said="la " * n), 0.05 * n)
    durations.save()
    done = run("listen", "Pablo")
    assert (done.exit_code, ears.heard) == (1, [TEXTS[0]])
    assert "wrong: Pablo perd la main. [too long]" in done.stdout
    with Catalogue.open(settings) as catalogue:
        (phrase,) = catalogue.phrases("Pablo")
    assert phrase.hearing is not None
    assert phrase.hearing.fault == "too_long"
