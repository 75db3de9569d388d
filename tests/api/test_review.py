"""Doubtful phrases over HTTP and on the command line: listed, heard, one take kept, and taken along in a bundle."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from monica import create_app
from monica.cli.cache import cache
from monica.config import Settings
from monica.service import Service
from monica.store.bundle import Bundle, export
from monica.store.hearing import Hearing, Misheard, Verdict
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase
from tests.conftest import local_client
from tests.support.kept import keep, metadata, server_store, sound

TEXT = "La table sept attend Rusmir."


def hearing_of(phrase: KeptPhrase, *differences: Misheard) -> Hearing:
    return Hearing(Verdict.DOUBTFUL, phrase.sha256, "base", TEXT, "La table douze attend.", None, differences)


@pytest.fixture
def doubtful(service: Service) -> str:
    """Keep a doubtful phrase with two takes. Returns its key."""
    store = server_store(service.settings)
    key = keep(store, TEXT)
    store.close()
    phrase = service.catalogue.get(key)
    assert phrase is not None
    heard = hearing_of(phrase, Misheard("sept", "douze", "number"), Misheard("Rusmir", "", "name"))
    noted = replace(phrase.metadata(), heard=heard)
    service.catalogue.put(key, sound(TEXT), noted)
    service.side_takes.add(key, sound(TEXT), noted)
    service.side_takes.add(key, sound("une autre prise"), noted)
    return key


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


def test_doubtful_phrases_are_listed_with_what_was_heard(client: FlaskClient, doubtful: str) -> None:
    (phrase,) = client.get("/v1/phrases/review").get_json()["phrases"]
    hearing = phrase["hearing"]
    assert (phrase["key"], hearing["verdict"], phrase["kept"]) == (doubtful, "doubtful", True)
    assert hearing["marked"] == "La table [sept: douze] attend [Rusmir: –]."
    assert hearing["heard"] == "La table douze attend."
    assert [(take["number"], take["kept"]) for take in phrase["takes"]] == [(1, True), (2, False)]


def test_a_take_is_heard_and_kept(client: FlaskClient, doubtful: str, service: Service) -> None:
    answer = client.get(f"/v1/phrases/{doubtful[:12]}/takes/2/audio")
    assert answer.data == sound("une autre prise")
    for path, status, code in (
        (f"/v1/phrases/{doubtful}/takes/7/audio", 404, "take_unknown"),
        ("/v1/phrases/abc/takes/1/audio", 404, "entry_unknown"),
    ):
        refused = client.get(path)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (status, code)
    assert client.post(f"/v1/phrases/{doubtful}/keep?take=x").status_code == 422
    assert client.post(f"/v1/phrases/{doubtful}/keep?take=7").status_code == 404
    assert client.post(f"/v1/phrases/{doubtful}/keep?take=2").status_code == 200
    assert client.get("/v1/phrases/review").get_json() == {"phrases": []}
    phrase = service.catalogue.get(doubtful)
    assert phrase is not None
    assert service.catalogue.read_sound(phrase) == sound("une autre prise")


def heard_phrases(client: FlaskClient) -> dict[str, float]:
    text = client.get("/metrics").text
    return {v: float(n) for v, n in re.findall(r'monica_phrases_heard\{verdict="(\w+)"\} (\S+)', text) if float(n)}


def test_what_is_kept_is_accepted(client: FlaskClient, doubtful: str, service: Service) -> None:
    assert heard_phrases(client) == {"doubtful": 1}
    assert client.post(f"/v1/phrases/{doubtful}/keep").status_code == 200
    phrase = service.catalogue.get(doubtful)
    assert phrase is not None
    assert phrase.hearing is not None
    assert phrase.hearing.verdict is Verdict.ACCEPTED
    assert heard_phrases(client) == {"accepted": 1}
    assert client.post(f"/v1/phrases/{doubtful}/keep").status_code == 200  # once more is no harm
    assert heard_phrases(client) == {"accepted": 1}


def test_a_phrase_of_which_nothing_is_kept_is_listed_too(client: FlaskClient, doubtful: str, service: Service) -> None:
    phrase = service.catalogue.get(doubtful)
    assert phrase is not None
    service.catalogue.remove([phrase])
    (listed,) = client.get("/v1/phrases/review").get_json()["phrases"]
    assert (listed["kept"], len(listed["takes"])) == (False, 2)
    assert client.post(f"/v1/phrases/{doubtful}/keep").status_code == 404
    assert client.post(f"/v1/phrases/{doubtful}/keep?take=1").status_code == 200
    assert service.catalogue.get(doubtful) is not None


def test_the_verdict_is_of_one_sound_only(doubtful: str, service: Service) -> None:
    """A new take of the phrase has not been heard, whoever keeps the metadata of the old one."""
    phrase = service.catalogue.get(doubtful)
    assert phrase is not None
    service.catalogue.put(doubtful, sound("une autre prise"), phrase.metadata())
    again = service.catalogue.get(doubtful)
    assert again is not None
    assert again.hearing is None
    assert service.catalogue.count_heard() == {}


def test_the_verdict_goes_with_bundles(doubtful: str, service: Service, settings: Settings) -> None:
    file = io.BytesIO()
    assert export(service.catalogue, service.catalogue.phrases(), file) == []
    (bundled,) = Bundle(file, 2**30).phrases
    assert bundled.metadata.heard is not None
    assert (bundled.metadata.heard.verdict, bundled.metadata.heard.sound) == (Verdict.DOUBTFUL, bundled.sha256)


def test_metadata_with_a_false_verdict_is_refused() -> None:
    fields = metadata(TEXT).to_fields()
    assert Metadata.from_fields(fields).heard is None
    wrong: tuple[object, ...] = ("good", {"verdict": "good"}, [])
    for heard in wrong:
        with pytest.raises(ValueError):
            Metadata.from_fields(fields | {"heard": heard})


def test_on_the_command_line(doubtful: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_CACHE_DIR", str(settings.cache_dir))
    runner = CliRunner()
    listed = runner.invoke(cache, ["review"])
    assert (listed.exit_code, listed.output.split()[:4]) == (1, [doubtful[:12], "doubtful", "2", "takes"])
    kept = runner.invoke(cache, ["review", doubtful[:8], "--take", "2", "--keep"])
    assert kept.output.splitlines()[-1] == f"{doubtful[:12]} is accepted."
    nothing = runner.invoke(cache, ["review"])
    assert (nothing.exit_code, nothing.output) == (0, "No phrase is doubtful.\n")
