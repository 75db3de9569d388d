"""The project's own gunicorn.conf.py, with a third engine in the registry."""

from __future__ import annotations

from pathlib import Path

from tests.support import third

third.add()
exec(Path("gunicorn.conf.py").read_text())
