"""Requests as bytes: from the OpenAPI document by Schemathesis, wild ones by Hypothesis, and damaged ones."""

from __future__ import annotations

import json
import warnings
from random import Random
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW")
PATHS = ("/blabla", "/v1/audio/speech", "/v1/text", "/v1/phrases", "/v1/phrases/warm", "/health", "/metrics", "/docs")
TYPES = ("application/json", "text/plain", "application/zip", "multipart/form-data; boundary=x", "")
CRLF = b"\r\n"

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_speech = st.fixed_dictionaries(
    {"text": st.text(max_size=120)},
    optional={"seed": st.integers(), "voice": st.text(max_size=8), "priority": st.text(max_size=8), "x": _json},
)
_header = st.tuples(
    st.sampled_from(("Accept", "Range", "If-None-Match", "X-Deadline-Ms", "X-Request-Id", "Expect", "Cookie", "Host")),
    st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=30),
)
_body = (
    _speech.map(lambda found: json.dumps(found).encode())
    | _json.map(lambda found: json.dumps(found).encode())
    | st.binary(max_size=300)
)
_wild = st.builds(
    lambda method, path, kind, headers, body: build(method, path, {"Content-Type": kind} | dict(headers), body),
    st.sampled_from(METHODS),
    st.sampled_from(PATHS) | st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=40).map("/{}".format),
    st.sampled_from(TYPES),
    st.lists(_header, max_size=3),
    _body,
)


def build(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request that stays on its connection."""
    lines = {"Host": "127.0.0.1"} | headers | {"Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body


def make_cases(document: dict[str, Any], number: int, seeded: int) -> list[bytes]:
    """Make about that many requests, half of them from the OpenAPI document. The same seed makes the same ones."""
    cases: list[bytes] = []
    schemathesis.serializer.alias("application/zip", "application/octet-stream")
    results: Any = schemathesis.openapi.from_dict(document).get_all_operations()
    operations = [result.ok() for result in results]
    for operation in operations:
        _collect(operation.as_strategy(), number // 2 // len(operations) + 1, seeded, cases, _prepare)
    _collect(_wild, number // 2, seeded, cases, bytes)
    return cases


def _collect(strategy: Any, number: int, seeded: int, cases: list[bytes], convert: Any) -> None:
    @seed(seeded)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(example: Any) -> None:
        made = convert(example)
        if made is not None:
            cases.append(made)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep()


def _prepare(case: Any) -> bytes | None:
    """Return a case of Schemathesis as bytes; None if HTTP cannot carry it."""
    try:
        request = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        names = {str(name): _text(value) for name, value in request.headers.items()}
        return build(str(request.method), str(request.path_url), names, bytes(body))
    except (ValueError, TypeError, UnicodeError, requests.RequestException):
        return None


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def damage(case: bytes, chance: Random) -> bytes:
    """Return the request with a few bytes changed, cut off, or put in."""
    at = chance.randrange(len(case))
    kind = chance.randrange(3)
    if kind == 0:
        return case[:at]
    if kind == 1:
        return case[:at] + chance.randbytes(chance.randint(1, 8)) + case[at:]
    return case[:at] + chance.randbytes(1) + case[at + 1 :]
