"""Pico's part of its process (monica/engine/speaking_child.py): it has the library, and imports nothing of Monica."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from typing import Any

CPU_SECONDS = 1
"""The longest piece that Monica sends takes a tenth of a second."""


def load(library: str) -> Any:
    """Load the extension module from its file: its package would import ten times as much as is needed here."""
    loader = ExtensionFileLoader("_nanotts", library)
    module = loader.create_module(ModuleSpec("_nanotts", loader, origin=library))
    loader.exec_module(module)
    return module


def prepare(library: str, lingware: str, voice: str) -> Callable[[str], bytes]:
    """Load the library. Returns what says a text at 16 kHz."""
    speak = load(library).speak

    def say(text: str) -> bytes:
        sound: bytes = speak(text=text, voice=voice, lingware_path=lingware)
        return sound

    return say
