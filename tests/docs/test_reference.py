"""The reference pages say what the code does: each command's help, each error code, each path of the API."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

import monica
from monica.errors import MonicaError
from tests.docs.cli_page import PAGE, page
from tests.support.server import ROOT

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ELSEWHERE = (
    "monica.cli", "monica.serving", "monica.engine.chatterbox", "monica.engine.torch", "monica.replica.deployment",
    "monica.listening.ear", "monica.listening.whisper", "monica.render.cluster", "monica.engine.piper.noise_inputs",
)  # fmt: skip
"""Packages that are not imported here: errors of the command line never leave by HTTP, and torch, Ray, Whisper or
onnx may be missing."""
MADE_BY_THE_WORKER = {"http_invalid", "http_error"}
"""Codes without an error class: those of gunicorn's own answers, and of the framework's rarer errors."""


def test_the_page_of_the_command_line_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def subclasses(cls: type[MonicaError]) -> Iterator[type[MonicaError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from subclasses(each)


def codes() -> dict[str, str]:
    """Return each code that an error of the API may have, with its status.

    They come from the error classes, and from the calls that raise one of them with another code. A MonicaError made
    with a code of its own is never raised: it is the failure of one phrase in a job, and has no status.
    """
    for module in pkgutil.walk_packages(monica.__path__, "monica."):
        if not module.name.startswith(ELSEWHERE):
            importlib.import_module(module.name)
    classes = {cls.__name__: cls for cls in subclasses(MonicaError) if not cls.__module__.startswith("monica.cli")}
    found: dict[str, str] = {}
    for cls in classes.values():  # the first class of a code counts: the framework's own 400 repeats `request_invalid`
        for code in cls.described_codes():
            found.setdefault(code, str(cls.status))
    for path in (ROOT / "monica").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                for keyword in node.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        cls = classes[node.func.id]
                        found[str(keyword.value.value)] = "job" if cls is MonicaError else str(cls.status)
    return found


def test_every_error_code_is_in_the_page_of_the_api() -> None:
    table = API.partition("\n## Errors")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+|any|job) \|", table, re.MULTILINE))
    known = codes()
    assert {"text_too_long", "json_invalid", "shutting_down", "model_failed", "method_not_allowed"} <= set(known)
    assert {code: rows.get(code) for code in known} == known
    assert set(rows) - set(known) == MADE_BY_THE_WORKER


@pytest.mark.parametrize("heading", ["Authentication", "Streaming", "Errors", "Voices", "Endpoints"])
def test_the_page_of_the_api_has_the_headings_readers_look_for(heading: str) -> None:
    assert f"\n## {heading}\n" in API


def test_every_endpoint_is_in_the_page_of_the_api(client: FlaskClient) -> None:
    table = API.partition("\n## Endpoints")[2].partition("\n## ")[0]
    rows = [row.partition(" | ")[0] for row in table.splitlines()]
    listed = {
        (method.strip(), path)
        for row in rows
        for methods, path in re.findall(r"`([A-Z, ]+) (/\S+)`", row)
        for method in methods.split(",")
    }
    document = json.loads(client.get("/openapi.json").data)
    exist = {
        (method.upper(), re.sub(r"\{(?:cue_|job_|model_|speaker_)?(\w+)\}", lambda name: name[1].upper(), path))
        for path, operations in document["paths"].items()
        for method in operations
        if method in ("get", "post", "put", "patch", "delete")
    }
    assert exist <= listed
    assert listed - exist == {("GET", "/docs"), ("GET", "/openapi.json")}
