"""Clients that keep asking while a test breaks things."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import requests

CLIENTS = 10
PAUSE_S = 0.1
"""Pause of each client between two phrases, because nginx and the nodes share the machine with a node that starts."""


class Load:
    """Clients that request one new phrase after the other. Use as a context manager."""

    def __init__(self, url: str, session: Callable[[], requests.Session]) -> None:
        self._url, self._session = url, session
        self._phrases = itertools.count()
        self._counted = threading.Condition()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients: list[Future[None]] = []
        self.asked = 0
        self.failures: list[str] = []

    def _run(self) -> None:
        with self._session() as session:
            while not self._stopped.wait(PAUSE_S):
                failure = self._ask(session)
                with self._counted:
                    self.asked += 1
                    self.failures += failure
                    self._counted.notify_all()

    def _ask(self, session: requests.Session) -> list[str]:
        phrase = f"Le joueur numéro {next(self._phrases)} relance."
        try:
            answer = session.post(self._url, json={"text": phrase}, timeout=60)
        except requests.RequestException as error:
            return [repr(error)]
        self.hear(phrase, answer)
        return [] if answer.content[:4] == b"RIFF" else [f"{answer.status_code} {answer.text}"]

    def hear(self, phrase: str, answer: requests.Response) -> None:
        """Nothing more is asked of an answer than that it is a sound."""

    def wait_for_more(self, number: int, seconds: float = 60) -> None:
        """Wait until `number` more requests have been answered."""
        with self._counted:
            goal = self.asked + number
            assert self._counted.wait_for(lambda: self.asked >= goal, seconds)

    def __enter__(self) -> Self:
        self._clients = [self._pool.submit(self._run) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()
