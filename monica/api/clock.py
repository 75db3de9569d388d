"""/v1/clock: the clock of a tournament, which has its levels announced to the second. Off until it is given a book."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import flask_smorest
from flask import request

from monica.antenna.chimes import UnknownChime
from monica.api.antenna import BODY_ERRORS
from monica.api.body import read_body
from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.jobs import MAX_BODY_BYTES
from monica.api.schemas_clock import (
    ClockBookSchema,
    ClockSchema,
    PlannedClockSchema,
    ShiftSchema,
    parse_book,
    parse_shift,
)
from monica.tournament.clock import NoClock
from monica.tournament.from_book import plan_from_book
from monica.warming.book import BookError, PhraseBook
from monica.warming.jobs import UnknownJob

clock = flask_smorest.Blueprint("clock", __name__, description="The clock of a tournament")


def _shown() -> dict[str, Any]:
    found = service().station.clock
    levels = found.plan.levels if found.plan is not None else ()
    return found.as_dict() | {"plan": [asdict(level) for level in levels]}


@clock.route("/v1/clock", methods=["GET"])
@clock.response(200, PlannedClockSchema)
def show() -> dict[str, Any]:
    """Show the clock and its levels."""
    return _shown()


@clock.route("/v1/clock", methods=["PUT"])
@clock.response(200, PlannedClockSchema)
@clock.doc(
    requestBody={"required": True, "content": {"application/json": {"schema": ClockBookSchema}}},
    responses=error_responses(*BODY_ERRORS, BookError, UnknownJob, UnknownChime),
)
def load() -> dict[str, Any]:
    """Give the clock the levels of a book. It stands at the beginning of the first one."""
    request.max_content_length = MAX_BODY_BYTES
    asked = parse_book(read_body(request))
    station = service().station
    if asked["chime"] is not None:
        station.chimes.check(asked["chime"])
    source, job = asked.pop("book"), asked.pop("job")
    name = "book"
    if job is not None:
        kept = service().warmer.jobs.get(job).source
        source, name = kept.book or "", kept.name
    book = PhraseBook.parse(source, name, service().settings.max_text_length)
    station.clock.load(plan_from_book(book, **asked))
    return _shown()


@clock.route("/v1/clock", methods=["DELETE"])
@clock.response(200, PlannedClockSchema)
def unload() -> dict[str, Any]:
    """Switch the clock off."""
    service().station.clock.load(None)
    return _shown()


@clock.route("/v1/clock/start", methods=["POST"])
@clock.response(200, ClockSchema)
@clock.doc(responses=error_responses(NoClock))
def start() -> dict[str, Any]:
    """Let the clock run, from where it is."""
    service().station.clock.start()
    return service().station.clock.as_dict()


@clock.route("/v1/clock/pause", methods=["POST"])
@clock.response(200, ClockSchema)
@clock.doc(responses=error_responses(NoClock))
def pause() -> dict[str, Any]:
    """Stop the clock where it is."""
    service().station.clock.pause()
    return service().station.clock.as_dict()


@clock.route("/v1/clock/shift", methods=["POST"])
@clock.response(200, ClockSchema)
@clock.doc(
    requestBody={"required": True, "content": {"application/json": {"schema": ShiftSchema}}},
    responses=error_responses(*BODY_ERRORS, NoClock),
)
def shift() -> dict[str, Any]:
    """Move the clock on or back, or to the beginning of a level. What it is moved back over is said again."""
    asked, found = parse_shift(read_body(request)), service().station.clock
    if asked["level"] is not None:
        found.go_to(asked["level"])
    else:
        found.shift(asked["seconds"])
    return found.as_dict()
