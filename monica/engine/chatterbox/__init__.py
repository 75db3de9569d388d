"""The Chatterbox engine. Importing it imports no torch: the weight is paid in `load`, by the loader's thread."""

from __future__ import annotations

from monica.engine.chatterbox.engine import ChatterboxEngine

__all__ = ["ChatterboxEngine"]
