"""The clock of a tournament, and books as boards, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from monica import create_app
from monica.service import Service
from monica.warming.job import JobSource
from tests.conftest import local_client

BOOK = """
[rosters]
players = ["Ana", "Bo"]
levels = [{ small = 10, big = 20, minutes = 20 }, { small = 20, big = 40, minutes = 20 }]

[[phrases]]
group = "Niveaux"
text = "Les blinds sont à {level.small}/{level.big}."
level = "levels"

[[phrases]]
group = "Éliminations"
text = ["{killer} élimine {victim} !", "Une chaise de libre."]
killer = "players"
victim = "players"
exaggeration = 0.7

[[phrases]]
text = "C'est la pause."
"""


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


def add_book(service: Service, name: str = "tournoi.toml", book: str = BOOK) -> str:
    return service.warmer.submit(JobSource(name, book)).id


def test_a_clock_is_loaded_started_moved_paused_and_switched_off(client: FlaskClient) -> None:
    assert client.get("/v1/clock").get_json() | {"plan": []} == client.get("/v1/clock").get_json()
    loaded = client.put("/v1/clock", json={"book": BOOK, "warnings": [1], "chime": "gong"})
    assert loaded.status_code == 200, loaded.text
    assert [level["text"] for level in loaded.get_json()["plan"]] == [
        "Les blinds sont à 10/20.", "Les blinds sont à 20/40.",
    ]  # fmt: skip
    assert loaded.get_json()["state"] == "paused"
    assert client.post("/v1/clock/start").get_json()["state"] == "running"
    assert client.post("/v1/clock/shift", json={"seconds": 600}).get_json()["left_s"] == pytest.approx(600, abs=30)
    assert client.post("/v1/clock/shift", json={"level": 2}).get_json()["level"] == 2
    assert client.post("/v1/clock/pause").get_json()["state"] == "paused"
    assert client.delete("/v1/clock").get_json()["state"] == "off"
    answer = client.post("/v1/clock/start")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "clock_off")


def test_a_clock_takes_the_book_of_a_job(client: FlaskClient, service: Service) -> None:
    answer = client.put("/v1/clock", json={"job": add_book(service)})
    assert answer.get_json()["levels"] == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "request_invalid"),
        ({"book": BOOK, "job": "x"}, "request_invalid"),
        ({"job": "x"}, "job_unknown"),
        ({"book": "?"}, "book_invalid"),
        ({"book": '[[phrases]]\ntext = "Rien."'}, "request_invalid"),
        ({"book": BOOK, "chime": "tambour"}, "chime_unknown"),
        ({"book": BOOK, "warnings": [0]}, "request_invalid"),
        ({"book": BOOK, "rosters": []}, "request_invalid"),
    ],
)
def test_a_book_that_makes_no_clock_is_refused(client: FlaskClient, body: dict[str, Any], code: str) -> None:
    assert client.put("/v1/clock", json=body).get_json()["error"]["code"] == code
    assert client.get("/v1/clock").get_json()["state"] == "off"


@pytest.mark.parametrize(
    "body", [{}, {"seconds": 1, "level": 1}, {"level": 3}, {"level": 0}, {"seconds": 1e9}, {"seconds": "1"}]
)
def test_a_wrong_shift_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    client.put("/v1/clock", json={"book": BOOK})
    assert client.post("/v1/clock/shift", json=body).status_code == 422


def test_a_book_is_a_board_of_groups_and_slots(client: FlaskClient, service: Service) -> None:
    job = add_book(service)
    assert client.post("/blabla", json={"text": "C'est la pause."}).status_code == 200
    (listed,) = client.get("/v1/books").get_json()["books"]
    assert (listed["id"], listed["name"]) == (job, "tournoi.toml")
    board = client.get(f"/v1/books/{job}").get_json()
    assert [group["name"] for group in board["groups"]] == ["Niveaux", "Éliminations", ""]
    level, (killer, chair), (pause,) = (group["tiles"] for group in board["groups"])
    assert level[0]["parts"][1] == {"words": None, "slot": "level", "field": "small"}
    assert killer["slots"] == [{"name": "killer", "roster": "players"}, {"name": "victim", "roster": "players"}]
    assert killer["params"]["exaggeration"] == 0.7
    assert [tile["ready"] for tile in (level[0], killer, chair, pause)] == [None, None, False, True]
    assert board["rosters"]["players"] == [{"": "Ana"}, {"": "Bo"}]
    assert board["rosters"]["levels"][0] == {"small": "10", "big": "20", "minutes": "20"}


def test_of_books_with_one_name_only_the_newest_is_shown(client: FlaskClient, service: Service) -> None:
    add_book(service)
    newest = add_book(service, book=BOOK + '\n[[phrases]]\ntext = "Encore une."')
    other = add_book(service, "autre.toml")
    service.warmer.submit(JobSource("phrases", phrases=("Sans livre.",)))
    assert {book["id"] for book in client.get("/v1/books").get_json()["books"]} == {newest, other}


def test_a_job_without_a_book_has_no_board(client: FlaskClient, service: Service) -> None:
    job = service.warmer.submit(JobSource("phrases", phrases=("Sans livre.",))).id
    assert client.get(f"/v1/books/{job}").get_json()["error"]["code"] == "job_unknown"


@pytest.mark.parametrize("path", ["/v1/clock", "/v1/books"])
def test_neither_is_public(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Authorization": "Bearer no"}).status_code == 403
