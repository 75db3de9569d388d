"""The service behind the request that is being answered."""

from __future__ import annotations

from flask import current_app

from monica.service import Service


def service() -> Service:
    found: Service = current_app.extensions["monica"]
    return found
