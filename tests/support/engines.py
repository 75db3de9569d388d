"""A toy engine whose pace and failures a test decides; for the logic around engines, never for their sound."""

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
    """Sixty milliseconds of tone a character, ten of those in `hasty`.

    gate: cleared, takes wait in the engine until it is set again.
    """

    name = "espeak"
    device = "cpu"
    clones = False
    model = "toy"
    sample_rate = 8000
    fingerprint = "toy 1"
    slots = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.spoken: list[str] = []
        self.seeds: list[int] = []
        self.began = threading.Semaphore(0)
        self.fail_with: Exception | None = None
        self.fail_load_with: list[Exception] = []
        self.silent = False
        self.hasty: set[str] = set()
        self.under_way: list[ToyUtterance] = []
        self.paused: list[Utterance] = []

    def load(self) -> None:
        if self.fail_load_with:
            raise self.fail_load_with.pop(0)

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = ToyUtterance(text, seed)
        self.under_way.append(utterance)
        if text != WARM_UP_TEXT:
            self.spoken.append(text)
            self.seeds.append(seed)
            self.began.release()
        return utterance

    def step(self) -> None:
        for utterance in [each for each in self.under_way if each not in self.paused]:
            if utterance.text != WARM_UP_TEXT:
                if not self.gate.is_set():
                    time.sleep(0.005)
                    continue
                if isinstance(self.fail_with, MonicaError):
                    utterance.error = self.fail_with
                    continue
                if self.fail_with is not None:
                    raise self.fail_with
            length = (80 if utterance.text in self.hasty else 480) * len(utterance.text)
            tone = 0.1 * np.sin(np.arange(length) * (1 + utterance.seed % 7) / 10)
            silent = self.silent and utterance.text != WARM_UP_TEXT
            utterance.samples = (0 * tone if silent else tone).astype(np.float32)

    def pause(self, utterance: Utterance) -> None:
        self.paused.append(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self.paused.remove(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        self.under_way = [each for each in self.under_way if each is not utterance]
        self.paused = [each for each in self.paused if each is not utterance]


class CloningToy(ToyEngine):
    """A toy with voices: conditionals are the digest of the recording.

    made: what voices were cloned from, and by which thread. heard: conditionals of the takes that were begun.
    break_on: what cloning a recording throws, by its digest.
    """

    name = "chatterbox"
    clones = True

    def __init__(self) -> None:
        super().__init__()
        self.bring_voice: Callable[[str], None] = self._refuse
        self.at_hand: dict[str, bytes] = {}
        self.made: list[tuple[str, str]] = []
        self.heard: list[bytes] = []
        self.break_on: dict[str, Exception] = {}
        self.cloning = threading.Event()
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
        self.at_hand[name] = conditionals
        while len(self.at_hand) > MAX_LOADED_VOICES:
            del self.at_hand[next(iter(self.at_hand))]

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        if voice not in self.at_hand:
            self.bring_voice(voice)
        self.heard.append(self.at_hand[voice])
        return super().begin(text, voice=voice, params=params, seed=seed)

    def _refuse(self, name: str) -> None:
        raise UnknownVoice(f"There is no voice called {name!r}.")
