"""The antenna of one process with all that moves it: the queue, the sounds, the clock."""

from __future__ import annotations

import logging
import threading

from monica.announcer import Announcer
from monica.antenna.antenna import Antenna
from monica.antenna.bulletins import Bulletins
from monica.antenna.chimes import ChimeBox
from monica.antenna.events import Events
from monica.antenna.journal import Journal
from monica.antenna.maker import Maker
from monica.antenna.on_air import Ducking
from monica.antenna.webhook import Webhook
from monica.audio.finish import Finisher
from monica.config import Settings
from monica.synthesis.health import Health
from monica.tournament.clock import TournamentClock
from monica.warming.warmer import Warmer

TICK_S = 0.25
"""How late an announcement may be that waits for its time. What people and speakers do is acted upon at once."""
CLOSE_S = 2.0

logger = logging.getLogger(__name__)


class Station:
    """Builds the parts, and runs them. One per process."""

    def __init__(
        self, settings: Settings, announcer: Announcer, finisher: Finisher, health: Health, warmer: Warmer
    ) -> None:
        self.events = Events()
        # Beside the jobs: two nodes may share a cache, but each has a folder of its own for what it still has to do.
        self._journal = Journal(settings.cache_dir / "jobs" / "antenna.sqlite3")
        ducking = Ducking(settings.duck_db, settings.duck_ramp_ms)
        self.antenna = Antenna(self._journal, self.events, ducking=ducking)
        self.chimes = ChimeBox(settings.chimes_dir, finisher)
        self.maker = Maker(self.antenna, announcer, self.chimes)
        self.clock = TournamentClock(self.antenna, self._journal, self.events)
        self.bulletins = Bulletins(self.events, health.brief, lambda: [job.as_dict() for job in warmer.jobs.all()])
        self._webhook = None
        if settings.webhook_url is not None:
            self._webhook = Webhook(settings.webhook_url, settings.webhook_secret)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="antenna", daemon=True)

    def start(self) -> None:
        """Open the queue, and start the threads: those that make sounds, and the one that puts them on air."""
        if self._webhook is not None:
            self._webhook.start(self.events)
        self.antenna.open()
        self.maker.start()
        self.bulletins.start()
        self._thread.start()

    def stop_making(self) -> None:
        """Begin no more sounds. What has been made still goes on air."""
        self.maker.close()

    def close(self) -> None:
        """Stop, and close the journal. The queue goes on when Monica starts again."""
        self.maker.close()
        self.bulletins.close()
        if self._webhook is not None:
            self._webhook.close()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)  # or it might still write to the journal
        self._journal.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            wait_s = TICK_S
            try:
                wait_s = min(TICK_S, self.clock.tick())
            except Exception:
                logger.exception("the clock failed at a tick")
            try:
                self.antenna.tick()
            except Exception:
                # The guards of this thread: without them the room would fall silent for good.
                logger.exception("the antenna failed at a tick")
                self._closing.wait(TICK_S)
            self.antenna.wait(wait_s)
