"""What surrounds every request: its id, its log line, and its duration in the metrics."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from monica import metrics
from monica.logs import request_id

logger = logging.getLogger("monica.access")

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_QUIET = {"/health", "/health/live", "/metrics", "/v1/jobs/<string:job_id>"}  # polled, hence logged at DEBUG


def register(app: Flask) -> None:
    @app.before_request
    def start_request() -> None:
        g.began = time.perf_counter()
        sent = request.headers.get("X-Request-Id", "")
        request_id.set(sent if SANE_ID.fullmatch(sent) else secrets.token_hex(16))

    @app.after_request
    def finish_request(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id.get()
        endpoint = request.url_rule.rule if request.url_rule else "none"
        took = time.perf_counter() - g.began
        record_answer(request.method, request.path, endpoint, response.status_code, took, g.get("outcome", ""))
        return response


def record_answer(method: str, path: str, endpoint: str, status: int, took: float, outcome: str) -> None:
    """Count and log an answer. endpoint: the rule of its path, or "none". took: in seconds."""
    metrics.request_duration.labels(endpoint, status).observe(took)
    level = logging.DEBUG if endpoint in _QUIET and method == "GET" else logging.INFO
    # The path may contain anything. Escaped, it cannot forge a log line with a line break.
    logger.log(level, "%s %s %d %.3fs %s", method, ascii(path)[1:-1], status, took, outcome)
