"""GET /health and /health/live: whether Monica is ready to speak, and whether the process serves."""

from __future__ import annotations

from typing import Any

import flask_smorest

from monica.api.current import service
from monica.api.schemas import HealthSchema, LiveSchema

health = flask_smorest.Blueprint("health", __name__, description="Health")


@health.route("/health", methods=["GET"])
@health.response(200, HealthSchema, description="Ready to speak. If `degraded`, `reason` says why.")
@health.alt_response(503, schema=HealthSchema, description="Not ready; `reason` says why.")
def show_health() -> tuple[dict[str, Any], int]:
    """Show whether Monica is ready to speak. Never waits for the engine."""
    state = service().health.report()
    return state, 200 if state["status"] in ("ok", "degraded") else 503


@health.route("/health/live", methods=["GET"])
@health.response(200, LiveSchema)
def show_liveness() -> dict[str, str]:
    """Answer as long as the process serves requests."""
    return {"status": "ok"}
