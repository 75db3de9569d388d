"""The engine whose takes replicas make. Each of those is an engine with its own scheduler: see monica/replica."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from monica import __version__
from monica.config import Settings
from monica.engine import MAX_LOADED_VOICES, Order, Reference, SynthesisParams, Utterance, wire
from monica.engine.ray.client import Exchange, Foreign, Lost, Replicas, Unreachable
from monica.engine.ray.utterance import AnyTime, Different, Received, RemoteUtterance
from monica.errors import (
    ConfigError,
    DeviceLost,
    InvalidText,
    MonicaError,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)

logger = logging.getLogger(__name__)

MAX_UNDER_WAY = 128
"""Takes that replicas may be asked for at once: sixteen GPUs of eight slots. More than they have slots for wait there,
where Serve sees that they wait and starts more replicas."""
STEP_S = 0.005
"""The longest a step waits for news: a take that arrives meanwhile is begun after it."""
PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)
"""Time before each further attempt. Serve needs about five seconds for a new replica, and half of one to notice that it
needs one."""
GRACE_S = 1.0
"""Added to the deadline that a replica is told: the one that counts is the scheduler's here."""
_ERRORS: dict[str, type[MonicaError]] = {
    "text_empty": InvalidText,
    "text_too_long": InvalidText,
    "voice_unknown": UnknownVoice,
    "overloaded": Overloaded,
    "synthesis_failed": SynthesisFailed,
}
"""Errors by code that are the text's or the moment's. Any other is that of one replica, and another is asked."""


class RayEngine:
    """Asks replicas for takes, in a thread for each. Pausing does nothing there: a replica orders its takes itself."""

    name = "ray"
    """Until it is loaded. Then the name of the replicas' engine: what they make is what it would have made here."""
    device = "cpu"
    clones = False
    slots = MAX_UNDER_WAY

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.bring_voice: Callable[[str], None] = _refuse
        self._voices: dict[str, bytes] = {}
        self._running: set[RemoteUtterance] = set()
        self._news: SimpleQueue[Callable[[], None]] = SimpleQueue()
        """What the threads have received: each sets it on its utterance, in the engine thread."""
        self._begun = False
        self._known: wire.Identity | None = None

    @property
    def model(self) -> str:
        return f"{self._identity.model}, on the replicas of {self._settings.ray_address}"

    @property
    def sample_rate(self) -> int:
        return self._identity.sample_rate

    @property
    def fingerprint(self) -> str:
        return self._identity.fingerprint

    def load(self) -> None:
        """Ask a replica who it is. Raises ConfigError if it does not fit, ModelUnavailable if none answers."""
        if self._settings.ray_address is None:
            raise ConfigError("MONICA_ENGINE=ray needs MONICA_RAY_ADDRESS, the address of Ray Serve.")
        self._replicas = Replicas(self._settings.ray_address, wire.read_token(self._settings.ray_token_file))
        identity = self._replicas.identity()
        for what, here, there in (
            ("Monica", __version__, identity.monica),
            ("MONICA_LANGUAGE", self._settings.language, identity.language),
        ):
            if here != there:
                raise ConfigError(f"MONICA_RAY_ADDRESS: {what} is {here} here, and {there} on the replicas.")
        self._known = identity
        self.name, self.device, self.clones = identity.engine, identity.device, identity.clones

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        return self.begin_order(AnyTime(), text, voice=voice, params=params, seed=seed, stream=stream)

    def begin_order(
        self, order: Order, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False
    ) -> Utterance:
        if self.clones and voice not in self._voices:
            self.bring_voice(voice)
        conditionals = self._voices.pop(voice, b"")
        if conditionals:
            self._voices[voice] = conditionals  # the last that was used
        utterance = RemoteUtterance(
            order=order, text=text, voice=voice, conditionals=conditionals, params=params, seed=seed, stream=stream
        )
        self._running.add(utterance)
        self._begun = True
        make = partial(contextvars.copy_context().run, self._make, utterance)
        threading.Thread(target=make, name="replica", daemon=True).start()
        return utterance

    def step(self) -> None:
        """Take what has been received, and wait for it a little unless a take was begun, after which others may be."""
        with suppress(Empty):
            self._news.get(block=not self._begun, timeout=STEP_S)()
            while True:
                self._news.get(block=False)()
        self._begun = False
        for utterance in self._running:
            if utterance.order.live and not utterance.asked_live and not utterance.done:
                utterance.exchange.cut_off()  # asked for again, as live: a replica cannot be told of it

    def pause(self, utterance: Utterance) -> None:
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        assert isinstance(utterance, RemoteUtterance)  # noqa: S101
        self._running.discard(utterance)
        utterance.drop()

    def make_conditionals(self, reference: Reference | None) -> bytes:
        if reference is None:
            return self._ask(wire.CONDITIONALS, {})
        told = asdict(reference)
        samples = told.pop("samples")
        try:
            return self._ask(wire.CONDITIONALS, {"reference": told}, samples.astype("<f4").tobytes())
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def add_voice(self, name: str, conditionals: bytes) -> None:
        """Remember a voice for the replicas that do not know it. One of them checks it now."""
        self._ask(wire.VOICE, {"voice": name}, conditionals)
        self._voices[name] = conditionals
        while len(self._voices) > MAX_LOADED_VOICES:
            del self._voices[next(iter(self._voices))]

    @property
    def _identity(self) -> wire.Identity:
        if self._known is None:
            raise NotReady("No replica has answered yet.", retry_after=5)
        return self._known

    def _ask(self, path: str, header: dict[str, Any], attachment: bytes = b"") -> bytes:
        header |= {"fingerprint": self.fingerprint}
        try:
            return self._replicas.ask(path, wire.pack_request(header, attachment))
        except (Lost, ConfigError) as error:
            raise NotReady(f"The replicas cannot be asked: {error}.", code="model_failed", retry_after=5) from error

    def _make(self, utterance: RemoteUtterance) -> None:
        """Have an utterance spoken, by another replica if one is lost. Runs in a thread of its own."""
        received, lost = Received(), Lost("")
        for pause_s in (0.0, *PAUSES_S):
            if utterance.dropped.wait(pause_s):
                return
            received.restart(keep=utterance.stream)
            try:
                self._attempt(utterance, received)
            except Lost as error:
                lost = error
                if not utterance.dropped.is_set():
                    logger.warning("take %.12s: asked for again: %s", utterance.order.key, error)
                continue
            except Different:
                failed = SynthesisFailed("A replica was lost, and another one does not go on where it broke off.")
                self._end(utterance, failed)
            except MonicaError as error:
                self._end(utterance, error)
            except Exception:
                logger.exception("take %.12s: its replica answers what none should", utterance.order.key)
                self._end(utterance, SynthesisFailed("The replicas cannot be understood."))
            return
        if isinstance(lost, Foreign):
            self._news.put(partial(_raise, DeviceLost(f"The replicas are others now: {lost}.", retry_after=15)))
        if isinstance(lost, Unreachable):
            # Not the sentence's fault: it may be asked for again, of another node or later.
            self._end(utterance, NotReady(f"No replica can be reached: {lost}.", code="model_failed", retry_after=5))
        else:
            self._end(utterance, SynthesisFailed(f"No replica has made this sentence: {lost}."))

    def _attempt(self, utterance: RemoteUtterance, received: Received) -> None:
        """Ask a replica; if it does not know the voice, ask again with the voice."""
        try:
            self._listen(utterance, received, b"")
        except UnknownVoice:
            self._listen(utterance, received, utterance.conditionals)

    def _listen(self, utterance: RemoteUtterance, received: Received, conditionals: bytes) -> None:
        utterance.asked_live = utterance.order.live
        utterance.exchange = exchange = Exchange()
        if utterance.dropped.is_set():
            return
        header = {
            "key": utterance.order.key,
            "text": utterance.text,
            "voice": utterance.voice,
            "params": asdict(utterance.params),
            "seed": utterance.seed,
            "stream": utterance.stream,
            "live": utterance.asked_live,
            "seconds": utterance.order.deadline - time.monotonic() + GRACE_S,
            "fingerprint": self.fingerprint,
        }
        with closing(self._replicas.frames(wire.pack_request(header, conditionals), exchange)) as frames:
            for kind, payload in frames:
                if kind == wire.SAMPLES:
                    new = received.add(wire.samples_of(payload))
                    if utterance.stream and len(new):
                        self._news.put(partial(utterance.chunks.append, new))
                elif kind == wire.END:
                    self._news.put(partial(setattr, utterance, "samples", received.samples))
                else:
                    raise _error_of(json.loads(payload))

    def _end(self, utterance: RemoteUtterance, error: MonicaError) -> None:
        self._news.put(partial(setattr, utterance, "error", error))


def _error_of(told: dict[str, Any]) -> Exception:
    kind = _ERRORS.get(told["code"])
    if kind is None:
        return Lost(told["message"])
    return kind(told["message"], code=told["code"], param=told["param"], retry_after=told["retry_after"])


def _raise(error: Exception) -> None:
    raise error


def _refuse(name: str) -> None:
    raise UnknownVoice(f"There is no voice called {name!r}.")
