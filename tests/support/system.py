"""Programs of the system that some tests use: a user's machine may lack them, CI's may not."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = os.environ.pop("MONICA_REQUIRE_SYSTEM", "") == "1"
"""Whether a missing program fails its test. Taken out of the environment, for Monica knows no such setting."""


def program(name: str) -> str:
    """Return the path of a program; skip the test where it is missing, or fail it where CI promised it."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed on this machine"
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
