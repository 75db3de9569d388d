"""GET /metrics, for Prometheus."""

from __future__ import annotations

import shutil
import time

import flask_smorest
from flask import Response, g, request
from prometheus_client import exposition
from prometheus_client.registry import REGISTRY

from monica import metrics as collectors
from monica.announcer import COVERED, NEVER_COVERED
from monica.api.current import service
from monica.engine.registry import engine_names
from monica.service import Service
from monica.store.cache import CacheError
from monica.store.hearing import Verdict
from monica.synthesis.faults import Fault
from monica.synthesis.loader import Status
from monica.synthesis.take import Lane, Outcome, Source
from monica.warming.job import COUNTERS

metrics = flask_smorest.Blueprint("metrics", __name__, description="Metrics")


SHARED_STORE_RESULTS = {
    "read": ("hit", "miss", "corrupt"),
    "claim": ("ok", "taken"),
    "write": ("ok", "dropped"),
    "change": (),
}


def initialise_series() -> None:
    """Start every counter at 0. Prometheus cannot see the first increment of a series that first appears as 1."""
    for outcome in Outcome:
        collectors.takes.labels(outcome)
    for lane in Lane:
        collectors.queue_depth.labels(lane)
        collectors.queue_wait.labels(lane)
    for source in Source:
        collectors.speech_duration.labels(source)
        for lane in Lane:
            collectors.requests_served.labels(lane, source)
    for code in {code for error in COVERED for code in error.described_codes()} - NEVER_COVERED:
        collectors.fallbacks.labels(code)
    for counter in COUNTERS:
        collectors.warm_phrases.labels(counter)
    collectors.cache_write_failures.labels("takes")
    for operation, results in SHARED_STORE_RESULTS.items():
        for result in (*results, "skipped", "refused", "failed"):
            collectors.shared_store_operations.labels(operation, result)


initialise_series()


@metrics.after_app_request
def observe_speech_duration(response: Response) -> Response:
    """Observe how long a response with sound took, by where the sound came from, which explains most of it."""
    source = response.headers.get("X-Monica-Cache")
    if source in list(Source):
        collectors.speech_duration.labels(source).observe(time.perf_counter() - g.began)
    return response


@metrics.route("/metrics", methods=["GET"])
@metrics.response(200, {"type": "string"}, content_type="text/plain", description="Prometheus text format.")
def export_metrics() -> Response:
    """Answer in the exposition format that the scraper asks for."""
    update_gauges(service())
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(REGISTRY), content_type=content_type)


def update_gauges(service: Service) -> None:
    """Set the gauges that are read from the service on each scrape. Never waits for the engine."""
    settings, health = service.settings, service.health.report()
    for status in Status:
        collectors.status.labels(status).set(health["status"] == status)
    for engine in engine_names():
        collectors.engine.labels(engine).set(health["engine"] == engine)
    for voice in service.announcer.voices() if health["model_loaded"] else ():
        collectors.takes_examined.labels(voice)
        for fault in Fault:
            collectors.take_faults.labels(voice, fault)
        collectors.takes_remade_by_listening.labels(voice)
        for verdict in (Verdict.GOOD, Verdict.DOUBTFUL, Verdict.WRONG):
            collectors.takes_heard.labels(voice, verdict)
    try:
        heard = service.catalogue.count_heard()
    except CacheError:  # /metrics must work all the same
        heard = {}
    for verdict in Verdict:
        collectors.phrases_heard.labels(verdict).set(heard.get(verdict, 0))
    ago = health["last_success_s"]
    collectors.last_success.set(0 if ago is None else time.time() - ago)
    collectors.failures_in_a_row.set(health["failures_in_a_row"])
    collectors.queue_limit.set(settings.queue_size)
    collectors.cache_limit.set(settings.cache_mb * 2**20)
    try:
        disk = shutil.disk_usage(settings.cache_dir)
    except OSError:  # the folder is gone
        disk = None
    collectors.disk_free.set(disk.free if disk else 0)
    collectors.disk_size.set(disk.total if disk else 0)
