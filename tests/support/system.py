"""System programs that some tests run. A user's machine may lack them; CI must have them."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = os.environ.pop("MONICA_REQUIRE_SYSTEM", "") == "1"
"""Whether a missing program fails its test instead of skipping it. Removed from the environment, because Monica would
refuse a variable that is not one of her settings."""


def program(name: str) -> str:
    """Return the path of a program. If it is missing, skip the test, or fail it if all programs are required."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed on this machine"
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
