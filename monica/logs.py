"""Logging: one line per event on standard error, with the id of the request it belongs to."""

from __future__ import annotations

import logging
import logging.config
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request being served. A take carries the context of its request into the engine thread."""


class RequestIdFilter(logging.Filter):
    """Adds the request id to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def config(level: str) -> dict[str, Any]:
    """Return the logging configuration, for logging.config and for gunicorn."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)-7s [%(request_id)s] %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["request_id"],
                "stream": "ext://sys.stderr",
            },
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "monica": {"level": level.upper()},
            # At INFO gunicorn reports signals and workers. Monica logs the start-up herself.
            "gunicorn.error": {
                "level": "DEBUG" if level == "debug" else "WARNING",
                "handlers": [],
                "propagate": True,
            },
        },
    }


def set_up(level: str) -> None:
    logging.config.dictConfig(config(level))
