"""Makes the sounds of the next cues ahead of their time, so that the room never waits for one."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

from monica.announcer import Announcer
from monica.antenna.antenna import Antenna
from monica.antenna.chimes import ChimeBox
from monica.antenna.cue import Cue
from monica.antenna.programme import Programme, compose
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded

THREADS = 3
"""An urgent sentence does not wait behind a long one that is being made."""
MAX_PROGRAMMES = 24
"""Number of sounds in memory. The others are made again when they are asked for, from what the cache keeps."""
RETRY_S = 2.0
GIVE_UP_S = 120.0
"""How long a sentence is tried if the engine is not ready, or has too much to do."""
TRANSIENT = (NotReady, Overloaded, DeadlineExceeded)
POLL_S = 1.0

logger = logging.getLogger(__name__)


class Maker:
    """Makes the sounds of cues. Thread-safe."""

    def __init__(self, antenna: Antenna, announcer: Announcer, chimes: ChimeBox) -> None:
        self._antenna = antenna
        self._announcer = announcer
        self._chimes = chimes
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._programmes: OrderedDict[str, Programme] = OrderedDict()
        self._tried_s: dict[str, float] = {}

    def start(self) -> None:
        """Start making."""
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"maker-{number}", daemon=True).start()

    def close(self) -> None:
        """Stop making. What is being made is abandoned, and begun again by the next process."""
        self._closing.set()

    def programme(self, cue: Cue) -> Programme:
        """Return the sound of a cue, whatever its state. Raises what `Announcer.announce` raises, and UnknownChime."""
        with self._lock:
            found = self._programmes.get(cue.id)
            if found is not None:
                self._programmes.move_to_end(cue.id)
        return found or self._make(cue)[0]

    def _work(self) -> None:
        while not self._closing.is_set():
            cue = self._antenna.next_to_make(POLL_S)
            if cue is not None and not self._closing.is_set():
                self._try(cue)

    def _try(self, cue: Cue) -> None:
        try:
            programme, key = self._make(cue)
        except TRANSIENT as error:
            tried_s = self._tried_s.pop(cue.id, 0.0) + RETRY_S
            again = tried_s < GIVE_UP_S or error.code == "shutting_down"  # then the next process makes it
            if again:
                self._tried_s[cue.id] = tried_s
                self._closing.wait(RETRY_S)
            self._antenna.not_made(cue, error, again)
        except MonicaError as error:
            self._antenna.not_made(cue, error, again=False)
        except Exception:
            # The guard of these threads: the next cue may fare better.
            logger.exception("announcement %s: unexpected error", cue.id)
            self._antenna.not_made(
                cue, MonicaError("Monica failed on this announcement; her log says why."), again=False
            )
        else:
            self._tried_s.pop(cue.id, None)
            self._antenna.made(cue, key, programme.duration_s, programme.lead_s)

    def _make(self, cue: Cue) -> tuple[Programme, str | None]:
        """Return the sound of a cue, and the key that the sentence is kept under."""
        key = cue.sound_key or cue.key
        sentence = self._announcer.kept(key) if key is not None else None
        if sentence is None:
            announcement = self._announcer.announce(cue.speech())
            sentence, key = announcement.wav, announcement.key
        programme = compose(cue, sentence, self._chimes)
        with self._lock:
            self._programmes[cue.id] = programme
            while len(self._programmes) > MAX_PROGRAMMES:
                self._programmes.popitem(last=False)
        return programme, key
