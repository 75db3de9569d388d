"""gunicorn's log, as Monica wants it."""

from __future__ import annotations

import sys
from typing import Any

from gunicorn import glogging


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's logger without its access log, which is costly. The application logs its requests itself."""

    access_log_enabled = False

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        if isinstance(sys.exc_info()[1], BlockingIOError):  # how an expired send timeout shows
            self.debug("A client did not read its answer.")
        else:
            super().exception(msg, *args, **kwargs)
