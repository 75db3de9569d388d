"""The heaps of a process with many threads, as glibc reports them."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

from monica.serving.arenas import ARENAS
from tests.support.server import ROOT

SCRIPT = """
import ctypes, sys, threading
from monica.serving.arenas import limit_arenas
if sys.argv[1] == "limited":
    limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
together = threading.Barrier(8)
def allocate():
    together.wait()
    libc.malloc(5000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = libc.fdopen(1, b"w")
libc.malloc_info(0, out)
libc.fflush(ctypes.c_void_p(out))
"""


def heaps(argument: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, argument], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return len(re.findall(r"<heap nr=", done.stdout))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_a_few_heaps() -> None:
    assert heaps("limited") <= ARENAS < heaps("as it is")
