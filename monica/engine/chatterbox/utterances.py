"""The utterances under way: T3 says all of them, a token a step; S3Gen sounds them one after the other, in stages."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.decoding import Decoding
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.streaming import Stream
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)
HURRY = 4
"""Stages more in a step, while someone waits for the first sound of a stream."""
STREAMS = 4
"""At once: the estimator remembers 0.7 GB of each, in float32. Those beyond are sounded whole."""

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Progress:
    """An utterance on its way.

    began, said: when T3 took it up, and when it had said what S3Gen is to sound; seconds of one clock.
    stream: what sounds it in hops. saying: whether T3 is at it. sounding: what makes samples of what has been said.
    """

    utterance: Utterance
    decoding: Decoding
    voice: Conditionals
    seed: int
    began: float
    stream: Stream | None = None
    saying: bool = True
    said: float = 0.0
    sounding: Generator[None, None, NDArray[np.float32]] | None = None

    @property
    def urgent(self) -> bool:
        """Whether nothing of a stream has been heard yet."""
        return self.stream is not None and not self.utterance.pieces


class Utterances:
    """All that is under way in a model. For one thread."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._progress: dict[Utterance, Progress] = {}

    def begin(
        self, text: str, voice: Conditionals, params: SynthesisParams, seed: int, *, stream: bool = False
    ) -> Utterance:
        """Take up a text. T3 must have a free slot. Raises InvalidText or SynthesisFailed."""
        began = time.perf_counter()
        try:
            decoding = self.model.admit(text, voice, params, seed)
        except OUT_OF_MEMORY as error:
            raise self._no_memory(error) from error
        utterance = Utterance()
        streams = sum(each.stream is not None for each in self._progress.values())
        streamed = self.model.stream(voice, seed) if stream and streams < STREAMS else None
        self._progress[utterance] = Progress(utterance, decoding, voice, seed, began, streamed)
        return utterance

    def step(self) -> None:
        """Have T3 say a token of each, and S3Gen go through as many stages as there are takes that have been said.

        So T3 is not kept waiting for long, nor left with few takes to say at once; the first take gets all of them.
        The first hop of a stream, which is short, goes before the others, and faster.
        """
        self._say()
        said = self._said()
        for _ in range(len(said) + HURRY * any(each.urgent for each in said)):
            self._sound()

    def pause(self, utterance: Utterance) -> None:
        """Set one aside. Where there is no memory to keep it in, it ends."""
        progress = self._progress.get(utterance)
        if progress is None or utterance.paused:
            return
        utterance.paused = True
        if progress.saying:
            try:
                self.model.t3.pause(progress.decoding)
            except OUT_OF_MEMORY as error:
                self._end(progress, error=self._no_memory(error))

    def resume(self, utterance: Utterance) -> None:
        """Go on with a paused one. Where there is no memory it stays paused. Raises SynthesisFailed."""
        progress = self._progress.get(utterance)
        if progress is None or not utterance.paused:
            return
        if progress.saying:
            try:
                self.model.t3.resume(progress.decoding)
            except OUT_OF_MEMORY as error:
                raise self._no_memory(error) from error
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        """Forget one, wherever it is. Nothing happens where it has ended."""
        progress = self._progress.pop(utterance, None)
        if progress is None:
            return
        self.model.t3.retire(progress.decoding)
        if progress.sounding is not None:
            progress.sounding.close()

    def _say(self) -> None:
        saying = [each for each in self._progress.values() if each.saying and not each.utterance.paused]
        try:
            self.model.t3.step()
        except OUT_OF_MEMORY as error:
            failure = self._no_memory(error)
            for progress in saying:
                self._end(progress, error=failure)
            return
        for progress in saying:
            if progress.decoding.done:
                self._hand_over(progress)
            else:
                self._hop(progress)

    def _hand_over(self, progress: Progress) -> None:
        """Take it from T3 to S3Gen. It ends there where there is nothing to sound."""
        decoding = progress.decoding
        self.model.t3.retire(decoding)
        progress.saying, progress.said = False, time.perf_counter()
        stage_duration.labels("t3").observe(progress.said - progress.began)
        progress.utterance.complete = decoding.complete
        try:
            tokens = decoding.speech()
        except SynthesisFailed as error:
            self._end(progress, error=error)
            return
        if not tokens:
            self._end(progress, samples=np.empty(0, np.float32))
        elif progress.stream is not None and progress.stream.begun:
            self._hop(progress)
        else:  # over before its first hop
            progress.stream = None
            progress.sounding = self.model.sound(tokens, progress.voice, progress.seed)

    def _hop(self, progress: Progress) -> None:
        """Have what a stream has said since its last hop sounded, if it is enough, or the end."""
        decoding, stream = progress.decoding, progress.stream
        if stream is None or progress.sounding is not None:
            return
        if not progress.saying:
            progress.sounding = stream.sound(decoding.speech(), last=True)
        elif len(decoding.tokens) >= stream.wanted:
            progress.said = time.perf_counter()
            progress.sounding = stream.sound(list(decoding.tokens), last=False)

    def _said(self) -> list[Progress]:
        return [each for each in self._progress.values() if each.sounding is not None and not each.utterance.paused]

    def _sound(self) -> None:
        progress = min(self._said(), key=lambda each: (not each.urgent, each.said), default=None)
        if progress is None or progress.sounding is None:
            return
        try:
            next(progress.sounding)
        except StopIteration as sounded:
            self._heard(progress, sounded.value)
        except SynthesisFailed as error:
            self._end(progress, error=error)
        except OUT_OF_MEMORY as error:
            self._end(progress, error=self._no_memory(error))

    def _heard(self, progress: Progress, samples: NDArray[np.float32]) -> None:
        """Hand out what S3Gen has made: a piece of a stream, or all there is."""
        stream, utterance = progress.stream, progress.utterance
        if stream is None:
            self._end(progress, samples=samples)
            return
        utterance.pieces.append(samples)
        progress.sounding = None
        if stream.ended:
            self._end(progress, samples=np.concatenate(utterance.pieces))
        elif not progress.saying:
            self._hop(progress)

    def _end(
        self, progress: Progress, *, samples: NDArray[np.float32] | None = None, error: SynthesisFailed | None = None
    ) -> None:
        self.drop(progress.utterance)
        progress.utterance.samples, progress.utterance.error = samples, error

    def _no_memory(self, error: BaseException) -> SynthesisFailed:
        logger.warning("out of memory: %s", error)
        return SynthesisFailed(f"There is not enough memory ({self.model.device.type}) for this sentence.")
