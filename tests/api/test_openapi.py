"""The OpenAPI document: every response is described in it, it changes only on purpose, and it lists every error."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from monica import create_app
from monica.config import Settings
from tests.conftest import local_client, started
from tests.test_errors import error_classes

SNAPSHOT = Path(__file__).parent / "openapi.json"
PROSE = {"description", "summary", "example"}
NOT_LISTED = {
    "internal": "may follow any request",
    "client_hung_up": "the client is gone",
    "not_found": "belongs to no operation",
    "method_not_allowed": "belongs to no operation",
    "listening_failed": "belongs to a phrase of a job",
}


def _app() -> Flask:
    folder = Path(tempfile.mkdtemp(prefix="pytest-openapi-"))
    # The longest deadline of the settings, so that every X-Deadline-Ms in the document is accepted.
    return create_app(service=started(Settings(engine="espeak", cache_dir=folder, deadline_s=3600)))


APP = _app()
schemathesis.serializer.alias("application/zip", "application/octet-stream")
TOKEN = {"Authorization": str(local_client(APP).environ_base["HTTP_AUTHORIZATION"])}
"""Without it, all that an operation for this machine answers is 403."""
# A stream of events does not end, so it has tests of its own.
schema = schemathesis.openapi.from_wsgi("/openapi.json", APP).exclude(path="/v1/events")


@schema.parametrize()
@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_response_is_documented(case: schemathesis.Case[Any]) -> None:
    # A schema cannot tell whether a text can be spoken: a valid body may be refused for that reason alone.
    # Being busy or out of time is no server error either: a deadline of one millisecond is valid.
    answer = case.call_and_validate(
        headers=TOKEN, excluded_checks=[positive_data_acceptance, not_a_server_error, ignored_auth]
    )
    assert answer.status_code < 500 or answer.status_code in (503, 504)
    if answer.status_code == 400:
        assert answer.json()["error"]["code"] in ("text_empty", "text_too_long")


def document() -> Any:
    return APP.test_client().get("/openapi.json").get_json()


def without_prose(value: Any) -> Any:
    """Return the document without what users read only: a description may change without a change of the contract."""
    if isinstance(value, dict):
        return {
            key: without_prose(each)
            for key, each in value.items()
            if not (key in PROSE and isinstance(each, str | int))
        }
    return [without_prose(each) for each in value] if isinstance(value, list) else value


def test_contract_is_the_snapshot() -> None:
    """A deliberate change of the contract comes with a new snapshot: `python -m tests.api.test_openapi`."""
    found = without_prose(document())
    del found["info"]["version"]
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def described_codes() -> dict[str, set[int]]:
    """Return the statuses of each code that the descriptions of the responses list."""
    operations = [
        operation for path in document()["paths"].values() for operation in path.values() if isinstance(operation, dict)
    ]
    found: dict[str, set[int]] = {}
    for operation in operations:
        for status, response in operation["responses"].items():
            schema = response.get("content", {}).get("application/json", {}).get("schema", {})
            if status == "default" or schema.get("$ref") != "#/components/schemas/Error":
                continue
            codes = re.findall(r"`(\w+)`: \S", response["description"])
            assert codes, (operation, status)
            for code in codes:
                found.setdefault(code, set()).add(int(status))
    return found


def test_every_listed_code_is_that_of_an_error_class() -> None:
    statuses: dict[str, set[int]] = {}
    for error in error_classes():
        for code in error.described_codes():
            statuses.setdefault(code, set()).add(error.status)
    for code, listed in described_codes().items():
        assert listed <= statuses[code], code


def test_being_busy_is_listed_with_the_time_to_try_again() -> None:
    paths = document()["paths"]
    for path in ("/blabla", "/v1/phrases/warm", "/v1/phrases/bundle", "/v1/audio/voices"):
        assert "`overloaded`" in paths[path]["post"]["responses"]["503"]["description"]
    busy = [
        operation["responses"]["503"]
        for path in paths.values()
        for operation in path.values()
        if isinstance(operation, dict) and "schemas/Error" in json.dumps(operation["responses"].get("503"))
    ]
    assert len(busy) > 15
    assert all("Retry-After" in response["headers"] for response in busy)


def test_every_error_is_listed() -> None:
    listed = described_codes()
    for error in error_classes():
        for code, meaning in error.described_codes().items():
            assert (code in listed) != (code in NOT_LISTED), code
            assert meaning.endswith("."), f"{error.__name__} does not say in one line what {code} means"


if __name__ == "__main__":
    contract = without_prose(document())
    del contract["info"]["version"]
    SNAPSHOT.write_text(json.dumps(contract, indent=1, sort_keys=True) + "\n", encoding="utf-8")
