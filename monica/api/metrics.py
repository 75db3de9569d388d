"""GET /metrics, for Prometheus."""

from __future__ import annotations

import shutil
import time

import flask_smorest
from flask import Response, g, request
from prometheus_client import exposition
from prometheus_client.registry import REGISTRY

from monica import metrics as collectors
from monica.api.current import service
from monica.engine.registry import engine_names
from monica.service import Service
from monica.synthesis.loader import Status
from monica.synthesis.running import Outcome
from monica.synthesis.take import Lane
from monica.warming.job import COUNTERS

metrics = flask_smorest.Blueprint("metrics", __name__, description="Metrics")

SOURCES = ("hit", "miss", "joined")
SPARED = ("model_loading", "model_failed", "overloaded", "deadline_exceeded", "synthesis_failed")
"""Errors that the embedded voice may spare a caller."""


def begin() -> None:
    """Let what is counted begin at 0: of a series that begins at 1, Prometheus never sees the first."""
    for outcome in Outcome:
        collectors.takes.labels(outcome)
    for lane in Lane:
        collectors.queue_depth.labels(lane)
        collectors.queue_wait.labels(lane)
    for source in SOURCES:
        collectors.speech_duration.labels(source)
        for lane in Lane:
            collectors.requests_served.labels(lane, source)
    for code in SPARED:
        collectors.fallbacks.labels(code)
    for counter in COUNTERS:
        collectors.warm_phrases.labels(counter)
    collectors.cache_write_failures.labels("takes")


begin()


@metrics.after_app_request
def note_speech(response: Response) -> Response:
    """Note how long an answer took that has sound in it; whether it was kept is what explains it."""
    source = response.headers.get("X-Monica-Cache")
    if source in SOURCES:
        collectors.speech_duration.labels(source).observe(time.perf_counter() - g.began)
    return response


@metrics.route("/metrics", methods=["GET"])
@metrics.response(200, {"type": "string"}, content_type="text/plain", description="Prometheus text format.")
def scrape() -> Response:
    """Answer in the exposition format the scraper asks for."""
    look(service())
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(REGISTRY), content_type=content_type)


def look(service: Service) -> None:
    """Set what is not counted, but asked for. Never waits on the engine."""
    settings, health = service.settings, service.health.report()
    for status in Status:
        collectors.status.labels(status).set(health["status"] == status)
    for engine in engine_names():
        collectors.engine.labels(engine).set(health["engine"] == engine)
    ago = health["last_success_s"]
    collectors.last_success.set(0 if ago is None else time.time() - ago)
    collectors.failures_in_a_row.set(health["failures_in_a_row"])
    collectors.queue_limit.set(settings.queue_size)
    collectors.cache_limit.set(settings.cache_mb * 2**20)
    try:
        disk = shutil.disk_usage(settings.cache_dir)
    except OSError:  # the folder is gone; /metrics is not to go with it
        disk = None
    collectors.disk_free.set(disk.free if disk else 0)
    collectors.disk_size.set(disk.total if disk else 0)
