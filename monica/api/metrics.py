"""GET /metrics, for Prometheus."""

from __future__ import annotations

import flask_smorest
from flask import Response, request
from prometheus_client import exposition
from prometheus_client.registry import REGISTRY

metrics = flask_smorest.Blueprint("metrics", __name__, description="Metrics")


@metrics.route("/metrics", methods=["GET"])
@metrics.response(200, {"type": "string"}, content_type="text/plain", description="Prometheus text format.")
def scrape() -> Response:
    """Answer in the exposition format the scraper asks for."""
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(REGISTRY), content_type=content_type)
