"""The program of a process that speaks: `python -I -S speaking_child.py PART ARGUMENTS...`

Its stdin and stdout are a socket. PART is the file of an engine's own part, such as pico/child.py. It has

- `prepare(*ARGUMENTS)`, which returns a function from a text to its sound, 16-bit PCM;
- CPU_SECONDS, how long that function may compute for one text, in processor time, which a busy machine does not
  shorten. Then the kernel ends it, even if Monica has ended meanwhile.

A request is a length (4 bytes, big-endian) and that many bytes of UTF-8. The answer is a length and that many bytes of
sound; after a failure it is a negative length, and that many bytes of a message. At the end of its input the process
ends, as it does when the engine hangs or crashes on a text. It imports nothing of Monica, and little of Python: it is
about ten megabytes, and ready in some twenty milliseconds.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType


def load(path: str) -> ModuleType:
    loader = SourceFileLoader("part", path)
    module = ModuleType("part")
    module.__spec__ = ModuleSpec("part", loader, origin=path)
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


def read_text() -> str | None:
    """Read a request. Returns None at the end of the input."""
    header = read_exactly(4)
    return read_exactly(int.from_bytes(header, "big")).decode() if len(header) == 4 else None


def write_all(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


def write_sound(sound: bytes) -> None:
    write_all(len(sound).to_bytes(4, "big"))
    write_all(sound)


def write_failure(error: Exception) -> None:
    message = f"{type(error).__name__}: {error}".encode()
    write_all((-len(message)).to_bytes(4, "big", signed=True) + message)


def answer(speak: Callable[[str], bytes], text: str, cpu_seconds: int) -> None:
    """Say one text, in a process forked for it, and write the answer."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    try:
        sound = speak(text)
    except Exception as error:  # whatever it is, Monica reports it
        write_failure(error)
    else:
        write_sound(sound)


def main(path: str, *arguments: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        part = load(path)
        speak = part.prepare(*arguments)
    except Exception as error:  # whoever asks is told. The next request has another process try again
        if read_text() is not None:
            write_failure(error)
        return
    while (text := read_text()) is not None:
        # The libraries keep state from text to text, and do not free all they take. Forked from a process that has said
        # nothing, equal texts give equal samples, and nothing is left behind. It costs a millisecond.
        if (pid := os.fork()) == 0:
            answer(speak, text, part.CPU_SECONDS)
            os._exit(0)
        if os.waitpid(pid, 0)[1] != 0:
            break  # an answer may be cut off in its middle: with a new process, Monica knows where the next begins


if __name__ == "__main__":
    main(*sys.argv[1:])
