"""Job files that another version of Monica has written: an older one, or a newer one before a downgrade."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from monica.config import Settings
from monica.warming.job import Failure, Job, JobSource, State
from monica.warming.jobs import Jobs
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.server import ROOT
from tests.support.wire import until

OLD_JOBS = ROOT / "tests" / "store" / "upgrade" / "0.1" / "jobs"
WAITING_ID, DONE_ID = "83a153d787cb7c89", "95f3f3abf5cec192"
FAILURE = {"text": "Tapis !", "code": "synthesis_failed", "message": "Raté."}


@pytest.fixture
def folder(settings: Settings) -> Path:
    """The jobs folder of a cache that version 0.1 has used."""
    return Path(shutil.copytree(OLD_JOBS, settings.cache_dir / "jobs"))


def stored() -> dict[str, Any]:
    """Return the content of a job's file, as version 0.1 wrote it."""
    return {
        "id": "0" * 16,
        "script": {"name": "liste", "book": None, "phrases": ["Tapis !"]},
        "total": 1,
        "created": 5.0,
        "failures": [FAILURE],
    }


def test_jobs_of_0_1_are_read(folder: Path) -> None:
    waiting, done = Jobs(folder).get(WAITING_ID), Jobs(folder).get(DONE_ID)
    book = '[[phrases]]\ntext = ["Un.", "Deux."]\n'
    assert vars(waiting) == vars(
        Job(id=WAITING_ID, source=JobSource("soiree.toml", book=book), total=2, created=1795642153.4595635)
    )
    assert vars(done) == vars(
        Job(
            id=DONE_ID,
            source=JobSource("phrases", phrases=("Trois.", "Quatre.")),
            total=2,
            created=1795642153.461167,
            state=State.DONE,
            made=1,
            failed=1,
            failures=[Failure("Trois.", "text_empty", "x")],
            started=1795642153.4618073,
            ended=1795642153.4618134,
        )
    )


@pytest.mark.parametrize("job_id", [WAITING_ID, DONE_ID])
def test_0_1_would_read_the_file(folder: Path, job_id: str) -> None:
    """After a downgrade: every field that it knows is there as it wrote it, and it ignores the others."""
    written = json.loads(Jobs(folder).get(job_id).to_json())
    old = json.loads((OLD_JOBS / f"{job_id}.json").read_text(encoding="utf-8"))
    assert written == old | {"listen": False, "heard": 0, "remade": 0, "doubtful": 0, "reason_code": None}
    assert [name for name in written if name in old] == list(old)


def test_a_waiting_job_of_0_1_runs_to_its_end(folder: Path, settings: Settings, toy: ToyEngine) -> None:
    service = started(settings, toy)
    waiting, done = service.warmer.jobs.get(WAITING_ID), service.warmer.jobs.get(DONE_ID)
    shown = done.as_dict()
    service.warmer.start()
    until(lambda: waiting.state.ended, 60)
    service.warmer.close()
    assert (waiting.state, waiting.made, waiting.left) == (State.DONE, 2, 0)
    assert sorted(toy.spoken) == ["Deux.", "Un."]
    assert service.warmer.jobs.all() == [done, waiting]
    assert done.as_dict() == shown
    service.close()
    assert [path.suffix for path in folder.iterdir()] == [".json", ".json"]


@pytest.mark.parametrize(
    "newer",
    [
        {"urgent": True},
        {"script": {"name": "liste", "book": None, "phrases": ["Tapis !"], "language": "fr"}},
        {"failures": [FAILURE | {"attempts": 3}]},
    ],
)
def test_unknown_fields_of_a_newer_version_are_ignored(
    folder: Path, newer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / f"{'0' * 16}.json").write_text(json.dumps(stored() | newer))
    job = Jobs(folder).get("0" * 16)
    assert job.source == JobSource("liste", phrases=("Tapis !",))
    assert (job.total, job.state, job.failures) == (1, State.WAITING, [Failure(**FAILURE)])
    assert caplog.text == ""


def test_missing_fields_get_their_defaults(folder: Path) -> None:
    fewest = {"id": "0" * 16, "script": {"name": "b.toml", "book": "[["}, "total": 1, "created": 5.0}
    (folder / f"{'0' * 16}.json").write_text(json.dumps(fewest))
    assert vars(Jobs(folder).get("0" * 16)) == vars(Job("0" * 16, JobSource("b.toml", book="[["), 1, 5.0))
