"""The venue's lexicon, read and edited over HTTP."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from monica import create_app
from monica.config import Settings
from monica.service import Service
from tests.api.test_phrases import assert_error, say
from tests.conftest import local_client, started
from tests.support.engines import ToyEngine
from tests.support.kept import keep, server_store

FILE = """\
# Names of the Bourly Poker Tour.

[names]
# From Bosnia.
"Rusmir" = "Roussmir"   # he says so himself
Nguyen = "Nouyène"

[words]
"blind" = { ipa = "blajnd", chatterbox = "blaïnde" }
"""
SECTIONS: dict[str, dict[str, Any]] = {
    "names": {"Rusmir": "Roussmir", "Nguyen": "Nouyène"},
    "words": {"blind": {"ipa": "blajnd", "chatterbox": "blaïnde"}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "noms.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o640)
    return path


@pytest.fixture
def settings(settings: Settings, file: Path) -> Settings:
    return replace(settings, lexicon=file)


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


def put(client: FlaskClient, sections: dict[str, Any], **headers: str) -> TestResponse:
    return client.put("/v1/lexicon", json=sections, headers=headers)


def changed(**names: Any) -> dict[str, dict[str, Any]]:
    return SECTIONS | {"names": SECTIONS["names"] | names}


def test_lexicon_is_shown_as_the_file_has_it(client: FlaskClient) -> None:
    answer = client.get("/v1/lexicon")
    assert (answer.status_code, answer.get_json()) == (200, SECTIONS)
    assert answer.headers["ETag"]


def test_what_was_read_may_be_written_back(client: FlaskClient, file: Path) -> None:
    answer = put(client, client.get("/v1/lexicon").get_json())
    assert answer.status_code == 200
    assert answer.get_json() == SECTIONS | {"affected": {"phrases": [], "total": 0}}
    assert file.read_text(encoding="utf-8") == FILE


def test_edited_file_keeps_its_comments_and_its_order(client: FlaskClient, file: Path) -> None:
    sections = {
        "names": {"Élise": "Elize", "Rusmir": {"said": "Rousmire", "espeak": {"ipa": "ʁusmiʁ"}}},
        "words": SECTIONS["words"],
    }
    assert put(client, sections).status_code == 200
    written = file.read_text(encoding="utf-8")
    assert tomllib.loads(written) == sections
    assert written.startswith("# Names of the Bourly Poker Tour.\n\n[names]\n# From Bosnia.\n")
    assert '{espeak = {ipa = "ʁusmiʁ"}, said = "Rousmire"}' in written
    assert written.index("Rusmir") < written.index("Élise") < written.index('[words]\n"blind" = { ipa = "blajnd"')
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir() if path.name.endswith(".toml")] == [file.name]


def test_new_reading_is_spoken_at_once(client: FlaskClient, toy: ToyEngine) -> None:
    say(client, "Rusmir gagne.")
    assert put(client, changed(Rusmir={"ipa": "ʁusmiʁ"})).status_code == 200
    say(client, "Rusmir gagne.")
    assert toy.spoken == ["Roussmir gagne.", "⟦ʁusmiʁ⟧ gagne."]
    assert client.post("/v1/text", json={"text": "Rusmir gagne."}).get_json()["text"] == toy.spoken[1]


def test_answer_names_the_kept_phrases_that_are_affected(client: FlaskClient, settings: Settings) -> None:
    stale = say(client, "Rusmir gagne.")
    say(client, "Ana gagne.")
    store = server_store(settings)
    store.put("0" * 64, b"before labels")
    keep(store, "Rusmir joue ailleurs.", engine="chatterbox")
    edited = put(client, changed(Rusmir={"ipa": "ʁusmiʁ"})).get_json()
    assert [phrase["key"] for phrase in edited["affected"]["phrases"]] == [stale]
    assert edited["affected"]["total"] == 1
    assert client.get("/v1/lexicon/affected").get_json() == edited["affected"]

    # Each answer tells of its own change; the list knows all of them.
    assert put(client, changed(Rusmir={"ipa": "ʁusmiʁ"}, Ana="Anna")).get_json()["affected"]["total"] == 1
    assert client.get("/v1/lexicon/affected").get_json()["total"] == 2
    assert put(client, {}).get_json()["affected"]["total"] == 1  # Rusmir, as he is written: that too is another reading
    assert put(client, SECTIONS).get_json()["affected"] == {"phrases": [], "total": 0}


def test_affected_phrase_is_made_anew_and_the_old_one_dropped(client: FlaskClient, toy: ToyEngine) -> None:
    stale = say(client, "Rusmir gagne.")
    seeded = say(client, "Rusmir perd.", seed=7)
    client.put(f"/v1/phrases/{stale}/pin")
    put(client, changed(Rusmir="Rousmire"))
    made = client.post(f"/v1/phrases/{stale}/remake").get_json()
    assert (made["said"], made["text"], made["pinned"]) == ("Rousmire gagne.", "Rusmir gagne.", True)
    assert made["key"] != stale
    assert client.get(f"/v1/phrases/{stale}").status_code == 404
    assert client.post(f"/v1/phrases/{seeded}/remake").get_json()["said"] == "Rousmire perd."
    assert toy.seeds[1] == toy.seeds[3] == 7
    assert client.get("/v1/lexicon/affected").get_json()["total"] == 0
    assert client.get("/v1/phrases").get_json()["total"] == 2


def test_affected_phrase_that_cannot_be_made_is_kept(client: FlaskClient, toy: ToyEngine) -> None:
    stale = say(client, "Rusmir gagne.")
    put(client, changed(Rusmir="Rousmire"))
    toy.silent = True
    assert_error(client.post(f"/v1/phrases/{stale}/remake"), 500, "synthesis_failed")
    assert client.get(f"/v1/phrases/{stale}").status_code == 200


def test_page_is_affected_with_those_of_its_sentences_that_are_said_differently(
    settings: Settings, toy: ToyEngine
) -> None:
    service = started(replace(settings, max_text_length=5000), toy)
    client = local_client(create_app(service=service))
    tail = "Les inscriptions restent ouvertes jusqu'à la prochaine pause, merci de votre patience."
    page = " ".join([f"La phrase numéro {n} de cette page parle longuement de Rusmir." for n in (2, 3, 4)] + [tail])
    key = say(client, page)
    kept = {phrase["said"]: phrase for phrase in client.get("/v1/phrases").get_json()["phrases"]}
    sentences = [said for said in kept if "Roussmir" in said and len(said) < 100]
    assert len(sentences) == 3
    client.put(f"/v1/phrases/{kept[sentences[0]]['key']}/pin")
    assert client.get("/v1/lexicon/affected").get_json()["total"] == 0  # nor any of its sentences

    edited = put(client, changed(Rusmir="Rousmire")).get_json()["affected"]
    assert edited == client.get("/v1/lexicon/affected").get_json()
    affected = [phrase["key"] for phrase in edited["phrases"]]
    assert sorted(affected) == sorted([key, *(kept[said]["key"] for said in sentences)])  # the tail is said as before

    toy.spoken.clear()
    made = client.post(f"/v1/phrases/{kept[sentences[0]]['key']}/remake").get_json()
    assert (made["said"], made["pinned"]) == (sentences[0].replace("Roussmir", "Rousmire"), True)
    for old in affected:
        assert client.post(f"/v1/phrases/{old}/remake").status_code in (200, 404)
        assert client.get(f"/v1/phrases/{old}").status_code == 404
    new = [said.replace("Roussmir", "Rousmire") for said in sentences]
    assert sorted(toy.spoken) == sorted(new)  # each once, and not the tail
    assert client.get("/v1/lexicon/affected").get_json()["total"] == 0
    assert client.get("/v1/phrases").get_json()["total"] == 5
    service.close()


def test_sentence_whose_page_is_kept_without_it_is_made_again(settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(settings, max_text_length=5000), toy)
    client = local_client(create_app(service=service))
    say(client, page := "[pause:1s] " + "Rusmir joue encore la main. " * 2)
    (old,) = [phrase for phrase in client.get("/v1/phrases").get_json()["phrases"] if "pause" not in phrase["said"]]
    put(client, changed(Rusmir="Rousmire"))
    say(client, page)  # the page and its sentence, under their new keys
    (new,) = [phrase for phrase in client.get("/v1/phrases?search=Rousmire").get_json()["phrases"] if "pause" not in
              phrase["said"]]  # fmt: skip
    client.delete(f"/v1/phrases/{new['key']}")
    assert client.post(f"/v1/phrases/{old['key']}/remake").get_json()["key"] == new["key"]
    service.close()


@pytest.mark.parametrize(
    ("sections", "code", "says", "param"),
    [
        ({"nmaes": {}}, "request_invalid", "nmaes", "nmaes"),
        ({"names": []}, "request_invalid", "names", "names"),
        ({"names": {"a": 5}}, "lexicon_invalid", "'a' must be said as words, not 5.", "a"),
        ({"names": {"a": ""}}, "lexicon_invalid", "'a' must be said as words", "a"),
        ({"names": {"a": None}}, "lexicon_invalid", "'a' must be said as words", "a"),
        ({"names": {"": "a"}}, "lexicon_invalid", "an entry must begin with a letter or a digit", ""),
        ({"words": {"a": {"kokoro": "b"}}}, "lexicon_invalid", "'a': 'kokoro' is not an engine", "a"),
        (
            {"words": {"a": {"ipa": "b☃"}}},
            "lexicon_invalid",
            "'a': IPA 'b☃': the voices cannot say '☃'",
            "a",
        ),
        ({"names": {"a": "b"}, "words": {"a": "b"}}, "lexicon_invalid", "'a': is there twice", "a"),
        ({"names": {"Bé": "b", "be": "c"}}, "lexicon_invalid", "'be': is there twice", "be"),
        ({"names": {"un": "deux", "deux": "un"}}, "lexicon_invalid", "contains another entry", "deux"),
        ({"names": {"a\ud800": "b"}}, "lexicon_invalid", "", None),
    ],
)
def test_invalid_lexicon_changes_nothing(
    client: FlaskClient, file: Path, sections: dict[str, Any], code: str, says: str, param: str | None
) -> None:
    answer = put(client, sections)
    assert_error(answer, 422, code, says, param)
    assert file.read_text(encoding="utf-8") == FILE
    assert client.get("/v1/lexicon").get_json() == SECTIONS


def test_odd_written_forms_come_back_as_they_were(client: FlaskClient) -> None:
    names = {'a"b': "x", "c\\d": "y", "e.f": "z", "g # h": "i", "j = k": "l", "l'été\u2028": "m\tn"}
    assert put(client, {"names": names}).status_code == 200
    assert client.get("/v1/lexicon").get_json() == {"names": names, "words": {}}


def test_two_editors_do_not_overwrite_each_other(client: FlaskClient, file: Path) -> None:
    first = client.get("/v1/lexicon").headers["ETag"]
    edited = put(client, changed(Ana="Anna"), **{"If-Match": first})
    assert edited.status_code == 200
    assert_error(put(client, SECTIONS, **{"If-Match": first}), 412, "lexicon_changed", "read it again")
    assert put(client, SECTIONS, **{"If-Match": edited.headers["ETag"]}).status_code == 200
    assert put(client, SECTIONS, **{"If-Match": "*"}).status_code == 200
    for nonsense in ("", '""', "x"):
        assert put(client, SECTIONS, **{"If-Match": nonsense}).status_code == 412


def test_edit_by_hand_is_kept_by_the_next_one(client: FlaskClient, file: Path) -> None:
    file.write_text('[words] # mine\n"Bluff" = "Bleuffe" # by hand\n', encoding="utf-8")
    assert client.get("/v1/lexicon").get_json() == {"names": {}, "words": {"Bluff": "Bleuffe"}}
    assert put(client, {"names": {"Ana": "Anna"}, "words": {"Bluff": "Bleuffe"}}).status_code == 200
    assert '"Bluff" = "Bleuffe" # by hand\n' in file.read_text(encoding="utf-8")


def test_file_that_was_broken_by_hand_is_left_for_a_hand_to_mend(client: FlaskClient, file: Path) -> None:
    file.write_text('[names]\n"Ana" = \n', encoding="utf-8")
    assert_error(client.get("/v1/lexicon"), 503, "lexicon_unusable", "put right by hand first: lexicon noms.toml: ")
    assert_error(put(client, SECTIONS), 503, "lexicon_unusable", "line 2")
    assert file.read_text(encoding="utf-8") == '[names]\n"Ana" = \n'


def test_file_that_cannot_be_written_stays_as_it_is(
    client: FlaskClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert_error(put(client, {}), 503, "lexicon_unusable", "noms.toml cannot be written: Read-only file system.")
    assert file.read_text(encoding="utf-8") == FILE
    assert not [path for path in file.parent.iterdir() if path.name.startswith(".noms")]
    assert client.post("/v1/text", json={"text": "Rusmir"}).get_json()["text"] == "Roussmir"


def test_link_to_the_file_stays_a_link(settings: Settings, file: Path, tmp_path: Path, toy: ToyEngine) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    service = started(replace(settings, lexicon=link), toy)
    assert put(local_client(create_app(service=service)), {"names": {"Ana": "Anna"}}).status_code == 200
    assert link.is_symlink()
    assert tomllib.loads(file.read_text(encoding="utf-8"))["names"] == {"Ana": "Anna"}
    service.close()


def test_readers_never_meet_half_a_file(client: FlaskClient, file: Path) -> None:
    many = {"names": {f"Nom{n}": f"Nomme {n}" for n in range(300)}}
    broken: list[str] = []

    def read() -> None:
        for _ in range(300):
            try:
                tomllib.loads(file.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                broken.append(str(error))

    reader = Thread(target=read)
    reader.start()
    for sections in (many, SECTIONS, many, {}):
        assert put(client, sections).status_code == 200
    reader.join()
    assert not broken


@pytest.fixture
def fileless(settings: Settings) -> Iterator[FlaskClient]:
    service = started(replace(settings, lexicon=None), ToyEngine())
    yield local_client(create_app(service=service))
    service.close()


def test_without_a_file_there_is_nothing_to_edit(fileless: FlaskClient) -> None:
    assert_error(fileless.get("/v1/lexicon"), 409, "lexicon_missing", "MONICA_LEXICON names none")
    assert_error(put(fileless, SECTIONS), 409, "lexicon_missing", "MONICA_LEXICON names none")
    assert fileless.get("/v1/lexicon/affected").get_json() == {"phrases": [], "total": 0}


def test_lexicon_larger_than_a_body_may_be_is_refused(client: FlaskClient) -> None:
    assert put(client, {"names": {f"Nom{n}": "x" * 50 for n in range(2000)}}).status_code == 200
    assert_error(put(client, {"names": {"a": "x" * 2**20}}), 413, "body_too_large")
