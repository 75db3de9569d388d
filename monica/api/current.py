"""Access to the service from inside a request."""

from __future__ import annotations

from flask import current_app

from monica.service import Service


def service() -> Service:
    """Return the service of the current Flask application."""
    found: Service = current_app.extensions["monica"]
    return found
