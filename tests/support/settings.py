"""How the settings are written, for the tests that compare documents with them."""

from __future__ import annotations

from dataclasses import Field
from typing import Any

SWITCHABLE = ("loudness", "peak", "fallback")
"""Settings that are None if their variable says `off`; the other None means that nothing is set."""


def written(setting: Field[Any]) -> str | None:
    """Return the default of a setting as its environment variable would have it; None if nothing is set."""
    default = setting.default
    if default is None or default == ():
        return "off" if setting.name in SWITCHABLE else None
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default)
