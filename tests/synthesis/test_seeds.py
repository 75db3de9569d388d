"""The seed of a take: the one asked for, or the one that follows from its key, or one that is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.engine import MAX_SEED
from monica.errors import MonicaError, SynthesisFailed
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.take import block
from monica.warming.remake import remake
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.takes import recipe_of

TEXT = "Rusmir relance."
Node = Callable[[str], tuple[Service, ToyEngine]]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Start a node with a cache of its own."""
    services = []

    def start(name: str) -> tuple[Service, ToyEngine]:
        toy = ToyEngine()
        services.append(started(Settings(engine="espeak", cache_dir=tmp_path / name), toy))
        return services[-1], toy

    yield start
    for service in services:
        service.close()


def test_two_nodes_make_the_same_bytes_under_the_same_key(node: Node) -> None:
    (one, toy), (other, _) = node("one"), node("other")
    said, again = one.announcer.announce(SpeechRequest(TEXT)), other.announcer.announce(SpeechRequest(TEXT))
    assert (said.source, again.source) == ("miss", "miss")
    assert (said.key, said.wav) == (again.key, again.wav)
    one.announcer.announce(SpeechRequest("Une autre."))
    assert toy.seeds[0] != toy.seeds[1]


def test_seed_that_is_asked_for_is_used(node: Node) -> None:
    service, toy = node("one")
    service.announcer.announce(SpeechRequest(TEXT, seed=3))
    assert toy.seeds == [3]


def test_new_take_has_a_new_seed(node: Node) -> None:
    service, toy = node("one")
    for fresh in (False, True, True):
        service.announcer.announce(replace(SpeechRequest(TEXT), fresh=fresh))
    (kept,) = service.catalogue.phrases()
    remake(service.announcer, service.catalogue, kept, block)
    assert len(set(toy.seeds)) == 4


def test_phrase_that_failed_is_not_made_with_the_same_seed_again(node: Node) -> None:
    service, toy = node("one")
    toy.fail_with = SynthesisFailed("no numbers")
    with pytest.raises(MonicaError):
        service.announcer.announce(SpeechRequest(TEXT))
    toy.fail_with = None
    tried = set(toy.seeds)
    service.announcer.announce(SpeechRequest(TEXT))
    assert toy.seeds[-1] not in tried


def test_phrase_that_came_out_badly_is_made_with_another_seed(node: Node) -> None:
    service, toy = node("one")
    toy.hasty.add(TEXT)
    assert service.announcer.announce(SpeechRequest(TEXT)).faults
    tried = set(toy.seeds)
    toy.hasty.clear()
    service.announcer.announce(SpeechRequest(TEXT))
    assert toy.seeds[-1] not in tried


@pytest.mark.parametrize("text", [TEXT, "", "é" * 100])
def test_derived_seed_is_a_seed(text: str) -> None:
    seed = recipe_of(text, None).derived_seed
    assert 0 <= seed <= MAX_SEED
    assert seed == recipe_of(text, None).derived_seed
