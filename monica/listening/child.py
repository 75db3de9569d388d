"""The listener's process: `python -P -m monica.listening.child JSON`, with a socket as stdin and stdout.

It takes messages as monica.child_process gives them: a line of JSON, then a WAV. It hears the sound and answers with
JSON. It stays out of the way: low priority, few threads, bounded memory, and it is the first process that the kernel
ends if memory runs out.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

NICENESS = 14
"""With it, a thread gets a 24th of a processor that another process could use alone (weights 45 and 1024), and all of
one that is idle. With 19 it would be a 70th: on a busy laptop, a phrase would take minutes."""
CPU_SECONDS = 120
"""How long it may compute for one take, in processor time, which a busy machine does not shorten. Then the kernel ends
it. A take of thirty seconds costs the largest model half of that."""
WORKING_MIB = 1024
"""Memory beyond the model's own size, for a take's encoding, the libraries and the threads' stacks."""


def step_back(model_bytes: int) -> None:
    """Take a low priority and bound the memory. What the system does not know is left out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        # The file's weights are read, and then converted: both are in memory for a moment.
        limit = 2 * model_bytes + WORKING_MIB * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def allow_processor_time() -> None:
    """Let the process compute for CPU_SECONDS more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS, hard))


def read_exactly(count: int) -> bytes:
    """Read so many bytes of stdin. Returns fewer at its end."""
    data = bytearray()
    while len(data) < count and (part := os.read(0, count - len(data))):
        data += part
    return bytes(data)


def write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class Deaf:
    """Stands in for an ear that could not be made: refuses every take with the reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def hear(self, wav: bytes, text: str) -> NoReturn:
        raise self._error


def answer(ear: Any, message: bytes) -> bytes:
    """Hear what a message holds. Returns the message that answers it."""
    head, _, wav = message.partition(b"\n")
    try:
        found = json.dumps(asdict(ear.hear(wav, **json.loads(head)))).encode()
    except Exception as error:  # whatever it is, Monica reports it
        told = str(error).strip() or type(error).__name__
        found = told.splitlines()[0].encode() if told else b"unknown"
        return (-len(found)).to_bytes(4, "big", signed=True) + found
    return len(found).to_bytes(4, "big") + found


def main(arguments: str) -> None:
    options = json.loads(arguments)
    folder = Path(options.pop("folder"))
    step_back((folder / "model.bin").stat().st_size if (folder / "model.bin").is_file() else 0)
    allow_processor_time()
    ear: Any
    try:
        from monica.listening.ear import Ear  # heavy: after the priority and the limits

        ear = Ear(folder, **options)
    except Exception as error:  # each take is answered with it
        ear = Deaf(error)
    while len(header := read_exactly(4)) == 4:
        allow_processor_time()
        message = read_exactly(int.from_bytes(header, "big"))
        write_all(answer(ear, message))


if __name__ == "__main__":
    main(sys.argv[1])
