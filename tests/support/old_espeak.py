"""The project's own gunicorn.conf.py, with an espeak-ng that calls itself what it was called in version 0.1.

It sounds different today, so a phrase it made then is made again. With its old name, what becomes of kept phrases in an
upgrade can be tried with those that version 0.1 wrote.
"""

from __future__ import annotations

from pathlib import Path

from monica.engine import espeak

espeak.EspeakEngine.fingerprint = property(lambda engine: "espeak 1.52.0 fr")  # type: ignore[assignment,method-assign]
exec(Path("gunicorn.conf.py").read_text())
