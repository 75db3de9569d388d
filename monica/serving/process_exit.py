"""How the worker process ends itself: to be restarted by gunicorn's master, or to stop the master too."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

from gunicorn.arbiter import Arbiter

from monica.errors import ConfigError

logger = logging.getLogger(__name__)

ENGINE_LOST = 70
"""Exit status of a worker whose engine is lost (EX_SOFTWARE). Not one of the two that make gunicorn's master stop."""


def exit_for_restart(_reason: str) -> NoReturn:
    """End the worker at once; gunicorn's master starts another one, with no state left over. From any thread."""
    sys.stderr.flush()
    os._exit(ENGINE_LOST)


def exit_for_good(error: ConfigError) -> NoReturn:
    """End the worker with the status that makes gunicorn's master stop instead of restarting it. From any thread."""
    logger.critical("Monica cannot start: %s", error)
    sys.stderr.flush()
    os._exit(Arbiter.APP_LOAD_ERROR)
