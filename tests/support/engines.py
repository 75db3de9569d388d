"""Toy engines whose pace and failures a test controls. They test the logic around engines, never their sound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from monica.engine import MAX_LOADED_VOICES, Reference, SynthesisParams, Utterance
from monica.errors import MonicaError, UnknownVoice
from monica.synthesis.loader import WARM_UP_TEXT


class ToyUtterance(Utterance):
    def __init__(self, text: str, seed: int) -> None:
        super().__init__()
        self.text, self.seed = text, seed


class ToyEngine:
    """Speaks a tone of sixty milliseconds per character, or ten if the text is in `hasty`."""

    name = "espeak"
    device = "cpu"
    clones = False
    model = "toy"
    sample_rate = 8000
    fingerprint = "toy 1"
    slots = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        """While it is cleared, no take ends."""
        self.gate.set()
        self.spoken: list[str] = []
        """The texts that were begun, without the warm-up's."""
        self.seeds: list[int] = []
        self.began = threading.Semaphore(0)
        """Released for each text that is begun."""
        self.fail_with: Exception | None = None
        """Fails every take. A MonicaError is the utterance's own; anything else is raised by `step`."""
        self.fail_load_with: list[Exception] = []
        """Raised by `load`, one per call."""
        self.fail_warm_up_with: MonicaError | None = None
        """The error of the warm-up's take."""
        self.silent = False
        self.hasty: set[str] = set()
        self.utterances: list[ToyUtterance] = []
        """Those that were begun and not dropped, paused ones included."""
        self.paused: list[Utterance] = []

    def load(self) -> None:
        if self.fail_load_with:
            raise self.fail_load_with.pop(0)

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = ToyUtterance(text, seed)
        self.utterances.append(utterance)
        if text != WARM_UP_TEXT:
            self.spoken.append(text)
            self.seeds.append(seed)
            self.began.release()
        return utterance

    def step(self) -> None:
        for utterance in [each for each in self.utterances if each not in self.paused]:
            if utterance.text == WARM_UP_TEXT:
                utterance.error = self.fail_warm_up_with
                if utterance.error is not None:
                    continue
            else:
                if not self.gate.is_set():
                    time.sleep(0.005)
                    continue
                if isinstance(self.fail_with, MonicaError):
                    utterance.error = self.fail_with
                    continue
                if self.fail_with is not None:
                    raise self.fail_with
            length = (80 if utterance.text in self.hasty else 480) * len(utterance.text)
            tone = 0.1 * np.sin(np.arange(length) * (1 + utterance.seed % 10_007 / 1668) / 10)
            silent = self.silent and utterance.text != WARM_UP_TEXT
            utterance.samples = (0 * tone if silent else tone).astype(np.float32)

    def pause(self, utterance: Utterance) -> None:
        self.paused.append(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self.paused.remove(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        self.utterances = [each for each in self.utterances if each is not utterance]
        self.paused = [each for each in self.paused if each is not utterance]


class CloningToy(ToyEngine):
    """A toy with voices. Its conditionals are the digest of the recording."""

    name = "chatterbox"
    clones = True

    def __init__(self) -> None:
        super().__init__()
        self.bring_voice: Callable[[str], None] = self._refuse
        self.loaded_voices: dict[str, bytes] = {}
        self.made: list[tuple[str, str]] = []
        """The digest of each recording that was cloned, and the name of the thread that did it."""
        self.heard: list[bytes] = []
        """The conditionals of each take that was begun."""
        self.break_on: dict[str, Exception] = {}
        """Raised when a recording is cloned, by its digest."""
        self.cloning = threading.Event()
        """While it is cleared, cloning waits."""
        self.cloning.set()

    def make_conditionals(self, reference: Reference | None) -> bytes:
        self.cloning.wait()
        digest = reference.digest if reference else "built-in"
        self.made.append((digest, threading.current_thread().name))
        if digest in self.break_on:
            raise self.break_on[digest]
        return f"cloned {digest}".encode()

    def add_voice(self, name: str, conditionals: bytes) -> None:
        if not conditionals.startswith(b"cloned "):
            raise ValueError("these are not conditionals")
        self.loaded_voices[name] = conditionals
        while len(self.loaded_voices) > MAX_LOADED_VOICES:
            del self.loaded_voices[next(iter(self.loaded_voices))]

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        if voice not in self.loaded_voices:
            self.bring_voice(voice)
        self.heard.append(self.loaded_voices[voice])
        return super().begin(text, voice=voice, params=params, seed=seed)

    def _refuse(self, name: str) -> None:
        raise UnknownVoice(f"There is no voice called {name!r}.")
