"""The Chatterbox engine. Importing it does not import torch: that cost is paid in `load`, on the loader's thread."""

from __future__ import annotations

from monica.engine.chatterbox.engine import ChatterboxEngine

__all__ = ["ChatterboxEngine"]
