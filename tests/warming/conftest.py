from __future__ import annotations

from collections.abc import Iterator

import pytest

from monica.service import Service
from monica.warming import job_run
from monica.warming.warmer import Warmer
from tests.support.takes import new_warmer


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "MAX_RETRY_S", 0.02)


@pytest.fixture
def warmer(service: Service) -> Iterator[Warmer]:
    warmer = new_warmer(service)
    warmer.start()
    yield warmer
    warmer.close()
