"""Decides whether the phrases of a job are listened to, and starts the listener for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monica.announcer import Announcer
from monica.config import Settings
from monica.listening.model import ListeningUnavailable, find_model, model_name
from monica.store.catalogue import Catalogue
from monica.store.side_takes import SideTakes
from monica.synthesis.durations import DurationModels

if TYPE_CHECKING:
    from monica.listening.listener import Ears
    from monica.warming.audition import Audition


def make_listener(settings: Settings) -> Ears:
    # Imported here: most servers never listen, and every start would pay for it.
    from monica.listening.listener import Listener

    return Listener(settings)


class Listening:
    """The listener of this process. It runs only while a job needs it.

    make_ears: makes what hears. check: raises ListeningUnavailable if that could not be made. Tests have their own.
    """

    def __init__(
        self,
        settings: Settings,
        announcer: Announcer,
        catalogue: Catalogue,
        side_takes: SideTakes,
        durations: DurationModels,
        make_ears: Callable[[Settings], Ears] = make_listener,
        check: Callable[[Settings], object] = find_model,
    ) -> None:
        self._settings = settings
        self._announcer = announcer
        self._catalogue = catalogue
        self._side_takes = side_takes
        self._durations = durations
        self._make_ears = make_ears
        self._check = check
        self._ears: Ears | None = None

    def decide(self, wanted: bool | None) -> bool:
        """Return whether a job listens. wanted: what was asked for; None leaves it to MONICA_LISTEN.

        Raises ListeningUnavailable if it was asked for and cannot be.
        """
        if wanted is False or (wanted is None and self._settings.listen == "off"):
            return False
        try:
            self._check(self._settings)
        except ListeningUnavailable:
            if wanted:
                raise
            return False
        return True

    def start(self) -> Audition:
        """Start the listener for a job. Raises ListeningUnavailable."""
        from monica.warming.audition import Audition

        self._ears = self._make_ears(self._settings)
        return Audition(
            self._ears, model_name(self._settings), self._announcer, self._catalogue, self._side_takes, self._durations
        )

    def close(self) -> None:
        """End the listener, whose model takes memory."""
        if self._ears is not None:
            self._ears.close()
            self._ears = None
