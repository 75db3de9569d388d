"""Monica, the announcer: a French sentence in, a WAV in her voice out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from monica.announcer import Announcer
    from monica.config import Settings

__version__ = "0.1.0"


def create_app(settings: Settings | None = None, announcer: Announcer | None = None) -> Flask:
    """Make the application; its announcer is in `app.extensions["announcer"]`, not yet started.

    Raises ConfigError where a setting is wrong.
    """
    from monica.announcer import Announcer
    from monica.api import build
    from monica.config import Settings

    return build(announcer or Announcer(settings or Settings.from_env()), __version__)
