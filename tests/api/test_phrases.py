"""The kept phrases over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from monica import create_app
from monica.config import Settings
from monica.metrics import requests_served
from monica.service import Service
from monica.store.cache import Store
from monica.store.catalogue import Catalogue
from monica.warming.job import JobSource, State
from tests.conftest import local_client, started
from tests.support.engines import ToyEngine
from tests.support.kept import keep, metadata, server_store
from tests.support.wire import until

TEXTS = ("Tapis de Rusmir !", "Élise paie.", "Les blinds montent.")
SHOWN = {"key", "text", "said", "engine", "voice", "seconds", "size", "made", "hits", "pinned"}


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


@pytest.fixture
def keys(client: FlaskClient) -> list[str]:
    """Keep the three texts in order, and return their keys."""
    return [say(client, text) for text in TEXTS]


def say(client: FlaskClient, text: str, **fields: object) -> str:
    answer = client.post("/blabla", json={"text": text} | fields)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"].strip('"')


def listed(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/v1/phrases{query}")
    assert answer.status_code == 200, answer.text
    return [phrase["text"] for phrase in answer.get_json()["phrases"]]


def shown_phrase(client: FlaskClient, key: str) -> dict[str, Any]:
    answer = client.get(f"/v1/phrases/{key}")
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    assert isinstance(found, dict)
    return found


def assert_error(answer: TestResponse, status: int, code: str, says: str = "", param: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    error = answer.get_json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert says in error["message"]
    assert "Traceback" not in error["message"]


def test_kept_phrases_are_listed(client: FlaskClient, keys: list[str]) -> None:
    say(client, TEXTS[1])
    assert listed(client) == list(reversed(TEXTS))
    assert listed(client, "?sort=text") == [TEXTS[1], TEXTS[2], TEXTS[0]]
    assert listed(client, "?sort=size") == [TEXTS[2], TEXTS[0], TEXTS[1]]
    assert listed(client, "?search=ELISE") == [TEXTS[1]]
    assert listed(client, "?search=personne") == []
    assert set(client.get("/v1/phrases").get_json()["phrases"][0]) == SHOWN


def test_long_list_comes_in_pages(client: FlaskClient, keys: list[str]) -> None:
    pages = [client.get(f"/v1/phrases?sort=text&limit=2&offset={offset}").get_json() for offset in (0, 2, 4)]
    assert [[phrase["text"] for phrase in page["phrases"]] for page in pages] == [
        [TEXTS[1], TEXTS[2]],
        [TEXTS[0]],
        [],
    ]
    assert {page["total"] for page in pages} == {3}
    assert client.get("/v1/phrases?search=rusmir&limit=1").get_json()["total"] == 1


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=+5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=٣", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=6", "limit"),
        ("offset=1e3", "offset"),
        ("offset=9999999999", "offset"),
        ("sort=colour", "sort"),
        (f"search={'x' * 501}", "search"),
        ("serach=x", "serach"),
    ],
)
def test_wrong_query_is_refused(client: FlaskClient, query: str, param: str) -> None:
    assert_error(client.get(f"/v1/phrases?{query}"), 422, "request_invalid", f"{param}: ", param)


def test_stats_are_those_of_the_command_line(client: FlaskClient, keys: list[str], settings: Settings) -> None:
    client.put(f"/v1/phrases/{keys[0]}/pin")
    numbers = client.get("/v1/phrases/stats").get_json()
    with Catalogue.open(settings) as catalogue:
        assert numbers == catalogue.stats().as_dict()
    assert (numbers["entries"], numbers["pinned"], numbers["shares"][0]["voice"]) == (3, 1, "monica")


def test_phrase_is_found_by_the_beginning_of_its_key(client: FlaskClient, keys: list[str]) -> None:
    for name in (keys[0], keys[0][:12], keys[0][:12].upper()):
        assert shown_phrase(client, name)["text"] == TEXTS[0]


@pytest.mark.parametrize(
    ("method", "of"),
    [("GET", ""), ("DELETE", ""), ("GET", "/audio"), ("PUT", "/pin"), ("DELETE", "/pin"), ("POST", "/remake")],
)
def test_unknown_or_ambiguous_key_is_404(
    client: FlaskClient, settings: Settings, keys: list[str], method: str, of: str
) -> None:
    store = server_store(settings)
    for end in "01":
        store.put("f" * 63 + end, b"")
    for name in ("zz", "%2e%2e", "%00", "%C3%A9", "0" * 65):
        assert_error(client.open(f"/v1/phrases/{name}{of}", method=method), 404, "not_found")
    for name in ("0" * 64, "abcdef"):
        answer = client.open(f"/v1/phrases/{name}{of}", method=method)
        assert_error(answer, 404, "entry_unknown", f"No phrase's key begins with '{name}'.", "key")
    answer = client.open(f"/v1/phrases/{'f' * 60}{of}", method=method)
    assert_error(answer, 404, "entry_unknown", "2 phrases' keys begin with", "key")
    assert len(listed(client)) == 5


def test_hearing_a_phrase_is_not_a_hit(client: FlaskClient, keys: list[str], service: Service) -> None:
    heard = client.get(f"/v1/phrases/{keys[0]}/audio")
    assert (heard.status_code, heard.headers["Content-Type"]) == (200, "audio/wav")
    assert heard.headers["Cache-Control"] == "private, no-cache"
    assert service.catalogue.stats().hits == 0
    assert client.post("/blabla", json={"text": TEXTS[0]}).data == heard.data


def test_a_sound_that_is_known_is_not_sent_again(client: FlaskClient, keys: list[str]) -> None:
    path = f"/v1/phrases/{keys[0]}/audio"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert_error(client.get(path, headers={"If-Match": '"other"'}), 412, "http_error")
    head = client.head(path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", etag)
    assert int(head.headers["Content-Length"]) == len(client.get(path).data)


def test_part_of_a_sound_is_sent(client: FlaskClient, keys: list[str]) -> None:
    path = f"/v1/phrases/{keys[0]}/audio"
    whole = client.get(path)
    size = len(whole.data)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for asked, first, end in (("0-1", 0, 2), ("44-", 44, size), ("-10", size - 10, size), (f"7-{size + 9}", 7, size)):
        part = client.get(path, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.data) == (206, whole.data[first:end])
        assert part.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - first)
    for ignored in ("bytes=0-1,4-5", "items=0-1", "bytes=x", "", f"bytes=-{size + 1}"):
        assert client.get(path, headers={"Range": ignored}).data == whole.data
    beyond = client.get(path, headers={"Range": f"bytes={size}-"})
    assert_error(beyond, 416, "range_unsatisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    for etag, status in ((whole.headers["ETag"], 206), ('"other"', 200)):
        assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == status


def test_warming_is_not_a_hit(client: FlaskClient, service: Service) -> None:
    warmer = client.application.extensions["monica"].warmer
    warmer.start()
    for cached in (0, 3):
        job = warmer.submit(JobSource("liste", phrases=TEXTS))
        until(lambda job=job: job.state.ended)  # type: ignore[misc]
        assert (job.state, job.cached, job.left) == (State.DONE, cached, 0)
    warmer.close()
    service.drain(0)
    assert service.catalogue.stats().hits == 0


def test_corrupt_phrase_is_reported(client: FlaskClient, settings: Settings) -> None:
    key = say(client, "Une longue phrase, qui prend un fichier.")
    next((settings.cache_dir / "takes").rglob("*.val")).write_bytes(b"corrupt")
    assert_error(client.get(f"/v1/phrases/{key}/audio"), 503, "cache_unusable", "its checksum differs")


def test_removed_phrase_is_made_again(client: FlaskClient, keys: list[str]) -> None:
    client.put(f"/v1/phrases/{keys[0]}/pin")
    gone = client.delete(f"/v1/phrases/{keys[0][:12]}")
    assert (gone.status_code, gone.get_json()["key"]) == (200, keys[0])
    assert listed(client) == [TEXTS[2], TEXTS[1]]
    assert client.delete(f"/v1/phrases/{keys[0]}").status_code == 404
    assert client.post("/blabla", json={"text": TEXTS[0]}).headers["X-Monica-Cache"] == "miss"
    assert not shown_phrase(client, keys[0])["pinned"]


def test_pin_and_unpin(client: FlaskClient, keys: list[str]) -> None:
    for _ in range(2):
        assert client.put(f"/v1/phrases/{keys[0]}/pin").get_json()["pinned"]
    assert [shown_phrase(client, key)["pinned"] for key in keys] == [True, False, False]
    for _ in range(2):
        assert not client.delete(f"/v1/phrases/{keys[0]}/pin").get_json()["pinned"]


def test_pins_leave_room_for_new_phrases(settings: Settings, toy: ToyEngine) -> None:
    small = replace(settings, cache_mb=1)
    store = server_store(small)
    keys = [keep(store, f"Phrase {number}", 20.0) for number in range(2)]  # 320 kB each
    service = started(small, toy)
    client = local_client(create_app(service=service))
    assert client.put(f"/v1/phrases/{keys[0]}/pin").status_code == 200
    assert_error(client.put(f"/v1/phrases/{keys[1]}/pin"), 409, "pins_full", "more than half of MONICA_CACHE_MB=1")
    service.close()


def test_phrase_is_remade_in_the_background_lane(client: FlaskClient, keys: list[str], toy: ToyEngine) -> None:
    say(client, TEXTS[0])
    before = shown_phrase(client, keys[0])
    background = requests_served.labels("background", "miss")._value.get()
    answer = client.post(f"/v1/phrases/{keys[0][:12]}/remake")
    assert answer.status_code == 200, answer.text
    after = answer.get_json()
    assert after["made"] > before["made"]
    assert after | {"made": 0, "hits": 0} == before | {"made": 0, "hits": 0}
    assert toy.spoken[3:] == toy.spoken[:1]
    assert len(set(toy.seeds)) == 4
    assert requests_served.labels("background", "miss")._value.get() == background + 1
    said = client.post("/blabla", json={"text": TEXTS[0]})
    assert said.headers["X-Monica-Cache"] == "hit"
    assert said.data == client.get(f"/v1/phrases/{keys[0]}/audio").data


def test_page_is_remade_with_all_its_sentences(client: FlaskClient, toy: ToyEngine) -> None:
    page = " ".join(f"La phrase numéro {number} de cette page est assez longue pour compter." for number in range(5))
    key = say(client, page)
    sentences = len(toy.spoken)
    assert sentences > 1
    assert client.post(f"/v1/phrases/{key}/remake").status_code == 200
    assert len(toy.spoken) == 2 * sentences


def test_remake_is_refused_if_it_would_change_nothing(
    client: FlaskClient, service: Service, settings: Settings, toy: ToyEngine
) -> None:
    seeded = say(client, "Avec une graine.", seed=5)
    store = server_store(settings)
    store.put("0" * 64, b"before metadata")
    for key, says in (
        (seeded, "with the seed 5: it would come out the same"),
        (keep(store, "D'un autre moteur."), "under another key"),
        ("0" * 64, "not known how it was asked for"),
    ):
        assert_error(client.post(f"/v1/phrases/{key}/remake"), 409, "remake_impossible", says)
    voice = keep(store, "D'une autre voix.", voice="nobody")
    assert_error(client.post(f"/v1/phrases/{voice}/remake"), 404, "voice_unknown", param="voice")
    silent = keep(store, "...")
    assert_error(client.post(f"/v1/phrases/{silent}/remake"), 400, "text_empty", param="text")
    assert toy.spoken == ["Avec une graine."]


def test_bad_remake_leaves_the_old_take(
    client: FlaskClient, keys: list[str], toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.get(f"/v1/phrases/{keys[0]}/audio").data
    toy.silent = True
    assert_error(client.post(f"/v1/phrases/{keys[0]}/remake"), 500, "synthesis_failed")
    toy.silent = False
    toy.hasty.add(toy.spoken[0])
    says = "The sound of the new take is too short for its text: the old one is kept."
    assert_error(client.post(f"/v1/phrases/{keys[0]}/remake"), 500, "synthesis_failed", says)
    toy.hasty.clear()
    monkeypatch.setattr(Store, "put", lambda *_: False)
    assert_error(client.post(f"/v1/phrases/{keys[0]}/remake"), 503, "cache_unusable", "the old one is kept")
    assert client.get(f"/v1/phrases/{keys[0]}/audio").data == before


def test_kept_phrases_are_shown_before_the_engine_is_ready(settings: Settings, toy: ToyEngine) -> None:
    key = keep(server_store(settings), TEXTS[0])
    client = local_client(create_app(service=Service(settings, toy)))
    assert listed(client) == [TEXTS[0]]
    assert_error(client.post(f"/v1/phrases/{key}/remake"), 503, "model_loading")


def test_any_metadata_is_shown(client: FlaskClient, settings: Settings) -> None:
    store = server_store(settings)
    store.put("0" * 64, b"", metadata("Oui.").to_json().replace("Oui.", r"\u001b[2J\r\nOui\u202e\ud800"))
    store.put("1" * 64, b"", "[" * 100_000)
    store.put("2" * 64, b"", metadata("Oui.").to_json().replace("1790000000.0", "NaN"))
    shown = {phrase["key"]: phrase for phrase in client.get("/v1/phrases").get_json()["phrases"]}
    assert shown["0" * 64]["text"] == "\ufffd[2J\ufffd\ufffdOui\ufffd\ufffd"
    assert len(shown) == 3
    assert (shown["1" * 64]["text"], shown["1" * 64]["seconds"]) == ("", None)
    assert client.get("/v1/phrases/stats").status_code == 200


def test_takes_are_made_beside_the_phrase_and_one_is_kept(
    client: FlaskClient, toy: ToyEngine, keys: list[str], service: Service
) -> None:
    before = client.get(f"/v1/phrases/{keys[0]}/audio").data
    client.put(f"/v1/phrases/{keys[0]}/pin")
    assert client.get(f"/v1/phrases/{keys[0]}/takes").get_json()["takes"] == []
    shown = list[dict[str, Any]]()
    while len(shown) < 3:  # the toy has seven voices, and a seed that sounds like the first one is no other take
        answer = client.post(f"/v1/phrases/{keys[0][:12]}/takes")
        assert answer.status_code in (201, 409), answer.text
        shown = answer.get_json()["takes"] if answer.status_code == 201 else shown
    assert [(take["number"], take["kept"], take["hearing"]) for take in shown] == [
        (1, True, None), (2, False, None), (3, False, None),
    ]  # fmt: skip
    assert sorted(listed(client)) == sorted(TEXTS)
    sounds = [client.get(f"/v1/phrases/{keys[0]}/takes/{number}/audio").data for number in (1, 2, 3)]
    assert client.get(f"/v1/phrases/{keys[0]}/audio").data == sounds[0] == before
    assert len(set(sounds)) == 3
    answer = client.post(f"/v1/phrases/{keys[0]}/keep?take=3")
    assert answer.status_code == 200, answer.text
    assert (answer.get_json()["key"], answer.get_json()["pinned"]) == (keys[0], True)
    assert client.get(f"/v1/phrases/{keys[0]}/audio").data == sounds[2]
    assert client.post("/blabla", json={"text": TEXTS[0]}).data == sounds[2]
    kept = client.get(f"/v1/phrases/{keys[0]}/takes").get_json()
    assert (kept["takes"], kept["hearing"]["verdict"]) == ([], "accepted")
    assert service.catalogue.count_heard() == {}  # by a recogniser


def test_only_a_take_of_the_phrase_can_be_kept(client: FlaskClient, keys: list[str]) -> None:
    seeded = say(client, "Avec une graine.", seed=7)
    assert_error(client.post(f"/v1/phrases/{seeded}/takes"), 409, "remake_impossible", "seed 7")
    assert_error(client.post(f"/v1/phrases/{keys[0]}/keep?take=2"), 404, "take_unknown", param="take")
    assert_error(client.post(f"/v1/phrases/{'f' * 64}/keep"), 404, "entry_unknown", param="key")
    assert_error(client.post(f"/v1/phrases/{keys[0]}/keep?take=0"), 422, "request_invalid", param="take")


def test_of_a_phrase_that_is_not_kept_a_take_is_made_and_kept(
    client: FlaskClient, keys: list[str], service: Service
) -> None:
    """As of babble, of which a job that listens keeps nothing."""
    phrase = service.catalogue.get(keys[0])
    assert phrase is not None
    service.side_takes.add(keys[0], service.catalogue.read_sound(phrase), phrase.metadata())
    service.catalogue.remove([phrase])
    answers = (client.post(f"/v1/phrases/{keys[0]}/takes") for _ in range(50))
    answer = next(each for each in answers if each.status_code != 409)  # which sounds like the first
    assert [(take["number"], take["kept"]) for take in answer.get_json()["takes"]] == [(1, False), (2, False)]
    new = client.get(f"/v1/phrases/{keys[0]}/takes/2/audio").data
    assert client.post(f"/v1/phrases/{keys[0]}/keep?take=2").status_code == 200
    assert client.get(f"/v1/phrases/{keys[0]}/audio").data == new


def test_a_phrase_that_is_removed_has_no_takes(client: FlaskClient, keys: list[str], service: Service) -> None:
    phrase = service.catalogue.get(keys[0])
    assert phrase is not None
    service.side_takes.add(keys[0], service.catalogue.read_sound(phrase), phrase.metadata())
    assert client.delete(f"/v1/phrases/{keys[0]}").status_code == 200
    assert_error(client.get(f"/v1/phrases/{keys[0]}/takes"), 404, "entry_unknown", param="key")


def test_an_engine_that_says_it_the_same_way_has_no_takes(tmp_path: Path) -> None:
    service = started(Settings(engine="espeak", cache_dir=tmp_path))
    client = local_client(create_app(service=service))
    key = say(client, TEXTS[0])
    assert_error(client.post(f"/v1/phrases/{key}/takes"), 409, "remake_impossible", "the same way")
    assert listed(client) == [TEXTS[0]]
    service.close()


@pytest.mark.parametrize("sort", ["made", "hits", "size", "text"])
def test_pages_are_parts_of_the_whole_list(service: Service, client: FlaskClient, keys: list[str], sort: str) -> None:
    for text in (TEXTS[1], TEXTS[1], TEXTS[2]):
        say(client, text)
    service.catalogue.pin(service.catalogue.find_by_prefix(keys[1:]))
    whole = service.catalogue.phrases(sort=sort)
    for pinned in (False, True):
        expected = [phrase for phrase in whole if phrase.pinned or not pinned]
        parts = [service.catalogue.page("", sort, 2, offset, pinned=pinned) for offset in (0, 2)]
        assert [phrase for part, _ in parts for phrase in part] == expected
        assert {total for _, total in parts} == {len(expected)}
