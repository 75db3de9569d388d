"""The process that Pico runs in: `python -I -S child.py LIBRARY LINGWARE VOICE`, with a socket as stdin and stdout.

A request is a length (4 bytes, big-endian) and that many bytes of UTF-8. The answer is a length and that many bytes of
16-bit PCM; after a failure it is a negative length, and that many bytes of a message. At the end of its input the
process ends, as it does when Pico hangs or crashes on a text. It imports nothing of Monica, and little of Python: it is
nine megabytes, and ready in twenty milliseconds.
"""

from __future__ import annotations

import os
import resource
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from typing import Any

CPU_SECONDS = 1
"""How long Pico may compute for one text. Then the kernel ends it, even if Monica has ended meanwhile. This is
processor time, so a busy machine does not shorten it; the longest piece that Monica sends takes a tenth of a second."""


def load(library: str) -> Any:
    """Load the extension module from its file: its package would import ten times as much as is needed here."""
    loader = ExtensionFileLoader("_nanotts", library)
    module = loader.create_module(ModuleSpec("_nanotts", loader, origin=library))
    loader.exec_module(module)
    return module


def read_exactly(count: int) -> bytes:
    """Read so many bytes of stdin. Returns fewer at its end."""
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            break
        data += part
    return data


def write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def answer(speak: Any, text: str, lingware: str, voice: str) -> None:
    """Say one text, in a process forked for it, and write the answer."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        sound: bytes = speak(text=text, voice=voice, lingware_path=lingware)
        length = len(sound)
    except Exception as error:  # whatever it is, Monica reports it
        sound = f"{type(error).__name__}: {error}".encode()
        length = -len(sound)
    write_all(length.to_bytes(4, "big", signed=True) + sound)


def main(library: str, lingware: str, voice: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    speak = load(library).speak
    while len(header := read_exactly(4)) == 4:
        text = read_exactly(int.from_bytes(header, "big")).decode()
        # The library keeps the state of its noise from text to text. Forked from a process that has said nothing,
        # equal texts give equal samples. It costs a millisecond.
        if (pid := os.fork()) == 0:
            answer(speak, text, lingware, voice)
            os._exit(0)
        if os.waitpid(pid, 0)[1] != 0:
            break  # an answer may be cut off in its middle: with a new process, Monica knows where the next begins


if __name__ == "__main__":
    main(*sys.argv[1:])
