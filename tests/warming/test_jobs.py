"""Warming jobs as files, and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from monica import create_app
from monica.api.jobs import MAX_BODY_BYTES
from monica.config import Settings
from monica.store.cache import CacheError
from monica.store.phrase import OVERHEAD_BYTES
from monica.warming.book import MAX_PHRASES
from monica.warming.book.source import MAX_SIZE
from monica.warming.job import Failure, Job, JobSource, State
from monica.warming.jobs import MAX_ENDED, MAX_WAITING, Jobs
from tests.conftest import Answer, Call, local_client, started
from tests.support.engines import ToyEngine
from tests.support.wire import until

LIST = JobSource("liste", phrases=("Tapis !", "Parole, \ud800 et Ana."))
BOOK = JobSource("tournoi.toml", book='[[phrases]]\ntext = "À vos places !"\n')
SHOWN = {
    "id", "name", "state", "total", "cached", "made", "failed", "left", "failures", "reason", "reason_code", "warning",
    "rate", "left_s", "created", "started", "ended", "listen", "heard", "remade", "doubtful",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.mark.parametrize("source", [LIST, BOOK])
def test_a_job_is_read_back(folder: Path, source: JobSource) -> None:
    jobs = Jobs(folder)
    job = jobs.add(source, 2)
    job.cached, job.made, job.failed, job.rate = 3, 4, 1, 2.5
    job.failures.append(Failure("Tapis !", "synthesis_failed", "Raté."))
    job.warning = "La cache est petite."
    jobs.save(job)
    (again,) = Jobs(folder).all()
    assert vars(again) == vars(job)
    assert again.source.parse_book(500).count() == source.parse_book(500).count()


def test_jobs_keep_their_order_and_their_ids_cannot_be_guessed(folder: Path) -> None:
    jobs = Jobs(folder)
    added = [jobs.add(LIST, 2) for _ in range(5)]
    assert len({job.id for job in added}) == 5
    assert all(len(job.id) == 16 and int(job.id, 16) >= 0 for job in added)
    again = Jobs(folder)
    assert [job.id for job in again.all()] == [job.id for job in reversed(added)]
    first = again.next_waiting()
    assert first is not None
    assert first.id == added[0].id


def test_only_the_latest_ended_jobs_are_remembered(folder: Path) -> None:
    jobs = Jobs(folder)
    for number in range(MAX_ENDED + 5):
        job = jobs.add(JobSource(f"liste {number}", phrases=("Tapis !",)), 1)
        job.end(State.DONE)
        jobs.save(job)
    waiting = jobs.add(LIST, 2)
    names = [job.source.name for job in jobs.all()]
    assert names == ["liste", *(f"liste {number}" for number in range(MAX_ENDED + 4, 4, -1))]
    assert {path.stem for path in folder.iterdir()} == {job.id for job in jobs.all()}
    assert jobs.next_waiting() is waiting


def stored() -> dict[str, Any]:
    """Return what is in the file of a new job."""
    found = json.loads(Job("0" * 16, LIST, 2, 1.0).to_json())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "[" * 100_000,
        "{}",
        stored() | {"id": "1" * 16},
        stored() | {"state": "asleep"},
        stored() | {"state": ["waiting"]},
        stored() | {"total": "2"},
        stored() | {"created": None},
        stored() | {"rate": "fast"},
        stored() | {"failures": 3},
        stored() | {"failures": [{"text": "Tapis !"}]},
        stored() | {"script": None},
        stored() | {"script": {"name": "liste", "phrases": None}},
        {key: value for key, value in stored().items() if key != "script"},
        json.dumps(stored())[:-20],
        b"\xff\xfe{}",
        " " * 9_000_000,
    ],
)
def test_a_file_that_is_not_a_job_is_set_aside(folder: Path, content: object, caplog: pytest.LogCaptureFixture) -> None:
    good = Jobs(folder).add(BOOK, 1)
    bad = folder / f"{'0' * 16}.json"
    if isinstance(content, bytes):
        bad.write_bytes(content)
    else:
        bad.write_text(content if isinstance(content, str) else json.dumps(content))
    assert [job.id for job in Jobs(folder).all()] == [good.id]
    assert [path.name for path in folder.glob("0000000*")] == [f"{'0' * 16}.corrupt"]
    assert f"job {'0' * 16}.json cannot be read" in caplog.text
    caplog.clear()
    Jobs(folder)
    assert caplog.text == ""


@pytest.mark.parametrize("failing", ["monica.warming.jobs.os.fsync", "pathlib.Path.replace"])
def test_a_partly_written_job_never_replaces_a_whole_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    jobs = Jobs(folder)
    job = jobs.add(BOOK, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, full)
        job.made = 1
        jobs.save(job)
        with pytest.raises(CacheError, match=r"The job cannot be kept \(No space left on device\)\."):
            jobs.add(LIST, 2)
    assert [path.name for path in folder.iterdir()] == [f"{job.id}.json"]
    assert [(found.id, found.made) for found in Jobs(folder).all()] == [(job.id, 0)]
    assert jobs.all() == [job]
    (folder / "killed.part").write_text("{")  # Monica was killed while writing it
    Jobs(folder)
    assert [path.name for path in folder.iterdir()] == [f"{job.id}.json"]


@pytest.fixture
def warm_app(settings: Settings, toy: ToyEngine) -> Iterator[Flask]:
    """An application whose warmer runs."""
    service = started(settings, toy)
    app = create_app(service=service)
    app.extensions["monica"].warmer.start()
    yield app
    toy.gate.set()
    app.extensions["monica"].warmer.close()
    service.close()


@pytest.fixture
def client(warm_app: Flask) -> FlaskClient:
    return local_client(warm_app)


def test_a_job_over_http(client: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    posted = client.post("/v1/phrases/warm", json={"phrases": ["Tapis !", "Parole.", "Tapis !"], "name": "ce soir"})
    assert posted.status_code == 202
    job = posted.get_json()
    assert job.keys() == SHOWN
    assert (job["name"], job["total"], job["state"] in ("waiting", "running")) == ("ce soir", 3, True)
    assert posted.headers["Location"] == f"/v1/jobs/{job['id']}"
    until(lambda: client.get(posted.headers["Location"]).get_json()["state"] == "running")
    toy.gate.set()
    until(lambda: client.get(posted.headers["Location"]).get_json()["state"] == "done")
    job = client.get(posted.headers["Location"]).get_json()
    assert (job["total"], job["cached"], job["made"], job["failed"], job["left"]) == (2, 0, 2, 0, 0)
    assert client.get("/v1/jobs").get_json() == {"jobs": [job]}
    assert client.post("/blabla", json={"text": "Parole."}).headers["X-Monica-Cache"] == "hit"


def test_a_job_is_stopped_over_http(client: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    body = {"phrases": [f"{a} élimine {b}." for a in "abcdefgh" for b in "ijklmnop"]}
    ids = [client.post("/v1/phrases/warm", json=body).get_json()["id"] for _ in range(2)]
    assert toy.began.acquire(timeout=30)
    for job_id in reversed(ids):
        stopped = client.delete(f"/v1/jobs/{job_id}")
        assert (stopped.status_code, stopped.get_json()["state"], stopped.get_json()["left"]) == (200, "stopped", 64)
    assert [job["id"] for job in client.get("/v1/jobs").get_json()["jobs"]] == list(reversed(ids))
    assert len(toy.spoken) <= 2  # a second take may have been queued when the job was stopped


def test_too_many_jobs(client: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    answers = [client.post("/v1/phrases/warm", json={"phrases": ["Tapis !"]}) for _ in range(MAX_WAITING + 2)]
    assert answers[-1].status_code == 429
    assert answers[-1].get_json()["error"]["code"] == "jobs_full"


def test_a_dry_run_of_a_book_returns_an_estimate(client: FlaskClient, toy: ToyEngine) -> None:
    book = Path("examples/bourly-poker-tour.toml").read_text()
    answer = client.post("/v1/phrases/warm", json={"book": book, "name": "b.toml", "dry_run": True})
    assert answer.status_code == 200
    estimate = answer.get_json()
    assert estimate["sound_s"] == pytest.approx(1383 * 3, rel=0.3)
    assert estimate["bytes"] == pytest.approx(16000 * estimate["sound_s"] + 1383 * OVERHEAD_BYTES, rel=0.01)
    assert estimate["time_s"] == pytest.approx(0.02 * estimate["sound_s"])
    rest = {name: estimate[name] for name in ("phrases", "looked_at", "cached", "fits", "measured")}
    assert rest == {"phrases": 1383, "looked_at": 692, "cached": 0, "fits": True, "measured": False}
    assert (client.get("/v1/jobs").get_json(), toy.spoken) == ({"jobs": []}, [])


def test_a_book_of_the_largest_size_is_accepted(client: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    book = '[[phrases]]\ntext = "Tapis !"\n'
    book += "#" + '"' * (MAX_SIZE - len(book) - 1)
    assert client.post("/v1/phrases/warm", json={"book": book}).status_code == 202
    larger = client.post("/v1/phrases/warm", json={"book": f"{book}#"})
    assert larger.status_code == 422
    assert larger.get_json()["error"]["message"] == f"phrases: more than {MAX_SIZE} bytes"


def post_job(call: Call, **body: object) -> Answer:
    return call("POST", "/v1/phrases/warm", json=body)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({}, "phrases", "Missing data for required field."),
        ({"phrases": ["Tapis !"], "book": "x"}, "phrases", "Unknown field."),
        ({"phrases": "Tapis !"}, "phrases", "Not a valid list."),
        ({"phrases": []}, "phrases", "Length must be between"),
        ({"phrases": ["Tapis !", 3]}, "phrases[1]", "Not a valid string."),
        ({"phrases": ["Tapis !"], "dry_run": "true"}, "dry_run", "Not a valid boolean."),
        ({"phrases": ["Tapis !"], "name": ""}, "name", "Length must be between"),
        ({"phrases": ["Tapis !"], "name": "a\nb"}, "name", "Must be one line."),
        ({"phrases": ["Tapis !"], "phrase": 1}, "phrase", "Unknown field."),
        ({"book": 3}, "book", "Not a valid string."),
    ],
)
def test_a_wrong_body_is_refused(call: Call, body: dict[str, Any], param: str, message: str) -> None:
    answer = post_job(call, **body)
    assert (answer.status, answer.json["error"]["code"]) == (422, "request_invalid")
    assert answer.json["error"]["param"] == param
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"phrases": ["Tapis !", "..."]}, "phrases[1]: there is nothing to say"),
        ({"phrases": ["a" * 501]}, "phrases[0]: a phrase may come to 501 characters, at most 500"),
        (
            {"book": '[[phrases]]\ntext = "{a} !"\na = "who"', "name": "b.toml"},
            "b.toml, line 3, phrases[0].a: there is no roster 'who'; known: none",
        ),
        ({"book": "[", "name": "b.toml"}, "b.toml, line 1"),
        (
            {"book": f'[rosters]\nn = {list(range(500))}\n[[phrases]]\ntext = "{{a}} et {{b}}"\na = "n"\nb = "n"'},
            f"the book makes 249500 phrases, 249500 of them here; at most {MAX_PHRASES}",
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_wrong_book_is_refused(call: Call, body: dict[str, Any], message: str, dry_run: bool) -> None:
    answer = post_job(call, **body, dry_run=dry_run)
    assert (answer.status, answer.json["error"]["code"]) == (422, "book_invalid")
    assert message in answer.json["error"]["message"]


def test_a_body_that_is_not_json_or_too_large_is_refused(call: Call) -> None:
    answer = call("POST", "/v1/phrases/warm", data=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.json["error"]["code"]) == (422, "json_invalid")
    large = call(
        "POST", "/v1/phrases/warm", data=b"a" * (MAX_BODY_BYTES + 1), headers={"Content-Type": "application/json"}
    )
    assert (large.status, large.json["error"]["code"]) == (413, "body_too_large")
    assert large.json["error"]["message"] == "The body is larger than 2112 KiB."


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("job_id", ["0" * 16, "..%2f..%2fetc", "é", "a" * 2000])
def test_an_unknown_job(call: Call, method: str, job_id: str) -> None:
    answer = call(method, f"/v1/jobs/{job_id}")
    assert answer.status == 404
    assert answer.json["error"]["code"] in ("job_unknown", "not_found")


def test_the_openapi_document_mentions_the_api_key(call: Call) -> None:
    spec = call("GET", "/openapi.json").json
    assert spec["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    changing = [spec["paths"]["/v1/phrases/warm"]["post"], spec["paths"]["/v1/jobs/{job_id}"]["delete"]]
    assert [operation["security"] for operation in changing] == [[{"apiKey": []}, {"apiKeyHeader": []}, {}]] * 2
    assert all({"401", "403"} <= operation["responses"].keys() for operation in changing)
