"""The command line in a separate process."""

from __future__ import annotations

import subprocess
import sys

from tests.support.server import ROOT, clean_environment


def monica(*arguments: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """Run `monica` with these arguments and settings, and return its output."""
    return subprocess.run(
        [sys.executable, "-c", "from monica.cli import main; main()", *arguments],
        cwd=ROOT,
        env=clean_environment(**settings),
        capture_output=True,
        timeout=120,
    )
