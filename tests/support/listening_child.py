"""A process that speaks the listener's protocol and hears nothing: `python listening_child.py FOLDER`.

Each message is one line that says what to do: `hear` answers with what a real one might, `die` ends the process, `hang`
stops it, `eat` takes memory until there is none, `refuse` has a reason. `die`, `hang` and `eat` happen once: FOLDER
remembers them.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path

from monica.listening.child import read_exactly, write_all

folder = Path(sys.argv[1])
found = {"differences": [], "run": 0, "distance": 0.0}
while len(header := read_exactly(4)) == 4:
    message = read_exactly(int.from_bytes(header, "big"))
    text = json.loads(message.partition(b"\n")[0])["text"]
    once = folder / text
    if text in ("die", "hang", "eat") and not once.exists():
        once.touch()
        if text == "die":
            os._exit(3)
        if text == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**28))
        hoard = bytearray(2**29)
    word = {"text": text, "start_s": 0.1, "end_s": 0.5}
    heard = {"expected": text, "free": None, "told": text, "free_comparison": None, "told_comparison": found}
    heard["words"] = [word]
    answer = json.dumps(heard).encode() if text != "refuse" else b"no reason"
    sign = -1 if text == "refuse" else 1
    write_all((sign * len(answer)).to_bytes(4, "big", signed=True) + answer)
