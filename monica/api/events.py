"""GET /v1/events: all that happens on the antenna, as it happens; and what speakers report."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import flask_smorest
from flask import Response, request

from monica.admission import SUBSCRIPTION
from monica.antenna.events import Listener, Subscription
from monica.api.antenna import BODY_ERRORS
from monica.api.body import read_body
from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.schemas_antenna import SPEAKER_ID, ReportedSchema, ReportSchema, parse_report
from monica.errors import InvalidRequest, Overloaded

events = flask_smorest.Blueprint("events", __name__, description="What happens on the antenna")

MAX_LISTENERS = 200
MAX_NAME = 60
RETRY = b"retry: 1000\n\n"
"""How soon a browser comes back after its connection broke, in milliseconds."""

_TEXT = {"type": "string"}
_SPEAKER = [
    {
        "in": "query",
        "name": "speaker",
        "required": False,
        "schema": _TEXT | {"pattern": f"^{SPEAKER_ID.pattern}$"},
        "description": "The listener is a speaker that plays what is on air. An id of its own choice, always the same.",
    },
    {"in": "query", "name": "name", "required": False, "schema": _TEXT, "description": "What people call the speaker."},
    {
        "in": "header",
        "name": "Last-Event-ID",
        "required": False,
        "schema": _TEXT,
        "description": "The id of the last event that was heard; what came after it is sent first.",
    },
]


@events.route("/v1/events", methods=["GET"])
@events.response(
    200,
    _TEXT,
    content_type="text/event-stream",
    description="Server-sent events: first `state` (all there is to know), then `announcement`, `antenna` (on air), "
    "`speakers`, `stop` (fade out now), `clock`, `health`, `job` (its progress).",
)
@events.doc(parameters=_SPEAKER, responses=error_responses(InvalidRequest, Overloaded))
def listen() -> Response:
    """Follow the antenna. The connection stays open; every 15 s at least something is sent."""
    station = service().station
    speaker = request.args.get("speaker")
    name = request.args.get("name", "").strip() or speaker or ""
    if speaker is not None and not SPEAKER_ID.fullmatch(speaker):
        raise InvalidRequest("speaker: 1 to 64 letters, digits, - and _.", param="speaker")
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"name: At most {MAX_NAME} characters in one line.", param="name")
    if len(station.events) >= MAX_LISTENERS:
        raise Overloaded(f"{MAX_LISTENERS} clients listen already.", retry_after=10)
    last_id = request.headers.get("Last-Event-ID")

    def begin(listener: Listener) -> Callable[[], None]:
        listener(RETRY)
        leave = station.antenna.listen(listener, last_id)
        if speaker is not None:
            station.antenna.speaker_joined(speaker, name)

        def end() -> None:
            leave()
            if speaker is not None:
                station.antenna.speaker_left(speaker)

        return end

    subscription = Subscription(begin)
    if request.method == "GET":
        request.environ[SUBSCRIPTION] = subscription  # Monica's worker takes it from there
    response = Response(_wait_here(subscription), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx must pass events on as they come
    return response


@events.route("/v1/speakers/<string:speaker_id>/reports", methods=["POST"])
@events.response(200, ReportedSchema)
@events.doc(
    requestBody={"required": True, "content": {"application/json": {"schema": ReportSchema}}},
    responses=error_responses(*BODY_ERRORS),
)
def report(speaker_id: str) -> dict[str, Any]:
    """Take what a speaker says: that it may play or not, or what became of an announcement."""
    antenna = service().station.antenna
    said = parse_report(read_body(request))
    should_play = True
    if said["event"] in ("ready", "blocked"):
        antenna.report_ready(speaker_id, said["event"] == "ready")
    elif said["event"] == "playing":
        should_play = antenna.report_playing(speaker_id, said["announcement"], said["position_s"])
    elif said["event"] == "ended":
        antenna.report_ended(said["announcement"])
    else:
        antenna.report_failed(said["announcement"], said["reason"] or "no reason given")
    return {"should_play": should_play}


def _wait_here(subscription: Subscription) -> Iterator[bytes]:
    """Send the events from this thread, under a server that is not Monica's own."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    leave = subscription.listen(heard.put)
    try:
        while True:
            yield heard.get()
    finally:
        leave()
