"""Announcements, the antenna and its speakers over HTTP."""

from __future__ import annotations

import itertools
import time
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from monica import create_app
from monica.antenna.rundown import MAX_CUES
from monica.api.schemas_announcements import time_of_day
from monica.audio.wav import wav_duration
from monica.config import Settings
from monica.errors import InvalidRequest
from monica.service import Service
from tests.conftest import local_client, started
from tests.support.wire import until

_NUMBERS = itertools.count()


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


def announce(client: FlaskClient, **fields: object) -> dict[str, Any]:
    answer = client.post("/v1/announcements", json={"text": f"Annonce {next(_NUMBERS)}."} | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/announcements/{answer.get_json()['id']}"
    found: dict[str, Any] = answer.get_json()
    return found


def state(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/announcements").get_json()
    return found


def queue(client: FlaskClient) -> list[str]:
    return [cue["text"] for cue in state(client)["queue"]]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 422, "request_invalid", "text"),
        ({"text": "À vos places.", "key": "12"}, 422, "request_invalid", "text"),
        ({"text": "À vos places.", "colour": "red"}, 422, "request_invalid", "colour"),
        ({"text": "À vos places.", "priority": "highest"}, 422, "request_invalid", "priority"),
        ({"text": "À vos places.", "repeat": 0}, 422, "request_invalid", "repeat"),
        ({"text": "À vos places.", "repeat": 100}, 422, "request_invalid", "repeat"),
        ({"text": "À vos places.", "expires_s": 0}, 422, "request_invalid", "expires_s"),
        ({"text": "À vos places.", "expires_s": "soon"}, 422, "request_invalid", "expires_s"),
        ({"text": "À vos places.", "at": "25:00"}, 422, "request_invalid", "at"),
        ({"text": "À vos places.", "at": "9999999-01-01"}, 422, "request_invalid", "at"),
        ({"text": "À vos places.", "chime": "tambour"}, 422, "chime_unknown", "chime"),
        ({"text": "À vos places.", "voice": "nobody"}, 404, "voice_unknown", "voice"),
        ({"text": " \n"}, 400, "text_empty", "text"),
        ({"text": "a" * 501}, 400, "text_too_long", "text"),
        ({"key": "abcdef"}, 404, "entry_unknown", None),
        ({"key": "not hex"}, 422, "request_invalid", "key"),
    ],
)
def test_what_could_never_be_said_is_refused_at_once(
    client: FlaskClient, body: dict[str, object], status: int, code: str, param: str | None
) -> None:
    answer = client.post("/v1/announcements", json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code), answer.text
    assert param is None or answer.get_json()["error"]["param"] == param
    assert queue(client) == []


def test_the_queue_is_in_the_order_of_priorities(client: FlaskClient) -> None:
    for name, priority in (("A.", "ambient"), ("B.", "normal"), ("C.", "urgent"), ("D.", "normal")):
        announce(client, text=name, priority=priority)
    assert queue(client) == ["C.", "B.", "D.", "A."]


def test_a_waiting_announcement_can_be_moved_held_and_dropped(client: FlaskClient) -> None:
    first, second = announce(client, text="Un."), announce(client, text="Deux.")
    path = f"/v1/announcements/{second['id']}"
    assert client.patch(path, json={"before": first["id"]}).status_code == 200
    assert queue(client) == ["Deux.", "Un."]
    assert client.patch(path, json={"before": None}).status_code == 200
    assert queue(client) == ["Un.", "Deux."]
    held = client.patch(path, json={"hold": True, "expires_s": 60, "at": "12:00"}).get_json()
    assert held["hold"] is True
    assert held["expires"] > time.time()
    assert held["at"] is not None
    freed = client.patch(path, json={"hold": False, "expires_s": None, "at": None}).get_json()
    assert (freed["hold"], freed["expires"], freed["at"]) == (False, None, None)
    assert client.patch(path, json={"priority": "urgent"}).status_code == 200
    assert queue(client) == ["Deux.", "Un."]
    assert client.delete(path).get_json()["state"] == "dropped"
    assert client.delete(path).get_json()["state"] == "dropped"
    assert client.patch(path, json={"hold": True}).get_json()["error"]["code"] == "announcement_not_waiting"
    other = announce(client, priority="ambient")
    answer = client.patch(f"/v1/announcements/{first['id']}", json={"before": other["id"], "priority": "normal"})
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (422, "before")


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_unknown_announcement(client: FlaskClient, method: str) -> None:
    answer = client.open("/v1/announcements/none", method=method, json={} if method == "patch" else None)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "announcement_unknown")


def test_a_full_queue_says_so(client: FlaskClient, service: Service) -> None:
    for _ in range(MAX_CUES):
        announce(client, text="Encore.", hold=True)
    answer = client.post("/v1/announcements", json={"text": "De trop."})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "queue_full")


def test_the_sound_of_an_announcement_has_its_chime(client: FlaskClient) -> None:
    cue = announce(client, chime="gong", chime_after="gong", repeat=2)
    answer = client.get(f"/v1/announcements/{cue['id']}/audio")
    assert answer.status_code == 200
    assert wav_duration(answer.data) > 3
    part = client.get(f"/v1/announcements/{cue['id']}/audio", headers={"Range": "bytes=0-43"})
    assert (part.status_code, part.data) == (206, answer.data[:44])


def test_a_kept_phrase_goes_on_air_under_its_key(client: FlaskClient, service: Service) -> None:
    key = client.post("/blabla", json={"text": "À vos places."}).headers["ETag"].strip('"')
    cue = announce(client, text=None, key=key[:12])
    assert (cue["key"], cue["text"]) == (key, "À vos places.")


def test_an_evening_with_one_speaker(settings: Settings) -> None:
    """Queued, made, on air, reported, replayed, stopped, resumed: with the real threads."""
    service = started(settings)
    service.station.start()
    client = local_client(create_app(service=service))
    antenna = service.station.antenna

    def report(event: str, **fields: object) -> bool:
        answer = client.post("/v1/speakers/salle/reports", json={"event": event} | fields)
        assert answer.status_code == 200, answer.text
        return bool(answer.get_json()["should_play"])

    def on_air() -> str | None:
        cue = state(client)["on_air"]
        return None if cue is None else str(cue["id"])

    try:
        cue = announce(client)
        until(lambda: client.get(f"/v1/announcements/{cue['id']}").get_json()["state"] == "ready")
        assert on_air() is None  # no speaker, so it waits
        antenna.speaker_joined("salle", "La salle")
        report("ready")
        until(lambda: on_air() == cue["id"])
        assert report("playing", announcement=cue["id"])
        assert not report("playing", announcement="another")
        report("ended", announcement=cue["id"])
        assert state(client)["history"][0]["state"] == "done"
        again = client.post("/v1/antenna/replay").get_json()
        until(lambda: on_air() == again["id"])
        assert client.delete(f"/v1/announcements/{again['id']}").status_code == 409
        next_one = announce(client)
        stopped = client.post("/v1/antenna/stop").get_json()
        assert (stopped["held"], stopped["on_air"], stopped["history"][0]["state"]) == (True, None, "stopped")
        until(lambda: client.get(f"/v1/announcements/{next_one['id']}").get_json()["state"] == "ready")
        assert on_air() is None
        assert client.post("/v1/antenna/resume").get_json()["held"] is False
        until(lambda: on_air() == next_one["id"])
        client.post("/v1/antenna/skip")
        assert client.post("/v1/antenna/hold").get_json()["held"] is True
    finally:
        service.close()


def test_nothing_to_replay(client: FlaskClient) -> None:
    answer = client.post("/v1/antenna/replay", json={})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "nothing_to_replay")


@pytest.mark.parametrize("body", [{}, {"event": "sings"}, {"event": "ended"}, {"event": "playing", "position_s": -1}])
def test_a_report_that_is_none_is_refused(client: FlaskClient, body: dict[str, object]) -> None:
    assert client.post("/v1/speakers/salle/reports", json=body).status_code == 422


@pytest.mark.parametrize(
    "query", ["speaker=", "speaker=la%20salle", "speaker=a&name=" + "x" * 61, "speaker=a&name=%0A"]
)
def test_a_speaker_has_a_plain_name(client: FlaskClient, query: str) -> None:
    with client.get(f"/v1/events?{query}") as answer:
        assert answer.status_code == (422 if query != "speaker=a&name=%0A" else 200)


def test_events_begin_with_the_state(client: FlaskClient) -> None:
    announce(client, text="Bonsoir.")
    with client.get("/v1/events") as answer:
        assert answer.mimetype == "text/event-stream"
        assert answer.headers["X-Accel-Buffering"] == "no"
        lines = b"".join(itertools.islice(answer.iter_encoded(), 2)).decode().splitlines()
    assert "event: state" in lines
    assert any("Bonsoir." in line for line in lines)


NOON = datetime(2026, 5, 2, 12, 0).timestamp()


@pytest.mark.parametrize(
    ("text", "hours"),
    [("12:30", 0.5), ("12h30", 0.5), ("11:00", 23), ("12:00", 0), ("11:59:30", -30 / 3600), ("2026-05-02T15:00", 3)],
)
def test_a_time_of_day_is_the_next_one(text: str, hours: float) -> None:
    assert time_of_day(text, NOON) == pytest.approx(NOON + 3600 * hours)


@pytest.mark.parametrize("text", ["", "24:00", "12:60", "noon", "12:30:61", "1e9"])
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(InvalidRequest):
        time_of_day(text, NOON)


def test_a_sentence_of_the_backend_can_go_on_air_too(client: FlaskClient) -> None:
    for _ in range(2):  # a kept phrase is announced as well
        answer = client.post("/blabla", json={"text": "À vos places.", "air": True})
        assert answer.status_code == 200
        cue = client.get(f"/v1/announcements/{answer.headers['X-Monica-Announcement']}").get_json()
        assert (cue["text"], cue["state"]) == ("À vos places.", "queued")
    assert client.post("/blabla", json={"text": "À vos places."}).headers.get("X-Monica-Announcement") is None
    assert len(queue(client)) == 2


def test_who_may_only_speak_may_not_go_on_air(service: Service) -> None:
    client = create_app(service=service).test_client()
    assert client.post("/blabla", json={"text": "À vos places."}).status_code == 200
    assert client.post("/blabla", json={"text": "À vos places.", "air": True}).status_code == 403
    assert service.station.antenna.state()["queue"] == []


def test_health_says_if_the_queue_cannot_be_written(client: FlaskClient, service: Service) -> None:
    service.station.antenna.open()
    service.station._journal.close()
    announce(client)
    health = client.get("/health").get_json()
    assert health["status"] == "degraded"
