"""Schemathesis over the OpenAPI document: every request it can think of gets an answer the document describes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from monica import create_app
from monica.config import Settings
from tests.conftest import started


def _app() -> Flask:
    folder = Path(tempfile.mkdtemp(prefix="pytest-openapi-"))
    # The longest deadline there is, so that every X-Deadline-Ms the document allows is allowed.
    return create_app(service=started(Settings(engine="espeak", cache_dir=folder, deadline_s=3600)))


schemathesis.serializer.alias("application/zip", "application/octet-stream")
schema = schemathesis.openapi.from_wsgi("/openapi.json", _app())


@schema.parametrize()
@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented(case: schemathesis.Case[Any]) -> None:
    # Whether a text says anything is not for a schema to tell: a valid body may be refused, for that alone.
    # That she is busy, or was not given the time, is no server error: a deadline of a millisecond is a valid one.
    answer = case.call_and_validate(excluded_checks=[positive_data_acceptance, not_a_server_error])
    assert answer.status_code < 500 or answer.status_code in (503, 504)
    if answer.status_code == 400:
        assert answer.json()["error"]["code"] in ("text_empty", "text_too_long")
