"""Monica's gunicorn.conf.py with the stand-in engine: `gunicorn -c python:benchmarks.standin_conf`."""

from __future__ import annotations

from pathlib import Path

from benchmarks import standin

standin.install()  # before the settings are read
exec(Path("gunicorn.conf.py").read_text())
