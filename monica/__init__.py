"""Monica, the announcer: a French sentence in, a WAV in her voice out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from monica.config import Settings
    from monica.service import Service

__version__ = "0.1.0"


def create_app(settings: Settings | None = None, service: Service | None = None) -> Flask:
    """Make the application. Its service is in `app.extensions["monica"]`, not started yet.

    Raises ConfigError if a setting is wrong.
    """
    from monica.api import build
    from monica.config import Settings
    from monica.service import Service

    return build(service or Service(settings or Settings.from_env()), __version__)
