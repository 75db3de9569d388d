"""Have Monica speak a sentence into a file. Python's standard library is enough.

python examples/client.py "Rusmir mise tapis." tapis.wav [http://localhost:8080]

MONICA_API_KEY is sent if it is set. The exit code is 1 if there is no sound.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

DEADLINE_S = 10  # after that the announcement is of no use; Monica then stops working on it
ATTEMPTS = 3
LONGEST_PAUSE_S = 5


def speak(text: str, url: str) -> bytes:
    """Return the WAV of a text. Raises RuntimeError with Monica's reason, or OSError if she cannot be reached."""
    headers = {"Content-Type": "application/json", "X-Deadline-Ms": str(1000 * DEADLINE_S)}
    if key := os.environ.get("MONICA_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    attempt = 0
    while True:
        attempt += 1
        request = urllib.request.Request(f"{url}/blabla", json.dumps({"text": text}).encode(), headers)
        try:
            # A little longer than the deadline, so that the error is Monica's, which says more.
            with urllib.request.urlopen(request, timeout=DEADLINE_S + 2) as answer:
                sound: bytes = answer.read()
                return sound
        except urllib.error.HTTPError as refusal:
            error = json.load(refusal)["error"]  # always {"error": {"code", "message", "param"}}
            # Only a 503 is worth another try. It says when; everything else would end the same way.
            if refusal.code != 503 or attempt == ATTEMPTS:
                raise RuntimeError(f"{error['code']}: {error['message']}") from refusal
            time.sleep(min(int(refusal.headers.get("Retry-After", 1)), LONGEST_PAUSE_S))


if __name__ == "__main__":
    text, path, *rest = sys.argv[1:]
    try:
        sound = speak(text, rest[0] if rest else "http://localhost:8080")
    except (RuntimeError, OSError, ValueError) as error:  # ValueError: not Monica answered, but a proxy's page
        sys.exit(f"no sound: {error}")
    Path(path).write_bytes(sound)
    print(f"{path}: {len(sound)} bytes")
