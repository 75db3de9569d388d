"""A third engine, `toy`, which Monica's own code has never heard of.

`add()` puts it into the registry of this process. `with Server(folder, SETTINGS | ...)` starts a real Monica, with the
project's own gunicorn.conf.py, that has it too.
"""

from __future__ import annotations

from monica.engine import registry

NAME = "toy"
SETTINGS = {"GUNICORN_CMD_ARGS": "-c tests/support/third/config.py", "MONICA_ENGINE": NAME}


def add() -> None:
    """Add the engine. Must run before the application is imported and before the settings are read."""
    registry.ENGINES[NAME] = "tests.support.third.spec"
