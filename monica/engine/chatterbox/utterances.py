"""The utterances in progress: T3 generates all of them, a token a step; S3Gen synthesizes one after the other."""

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
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.slots import SavedSequence
from monica.engine.chatterbox.streaming import StreamState
from monica.engine.chatterbox.token_sequence import TokenSequence
from monica.engine.torch.memory import OneOutOfMemoryError
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

URGENT_PASSES = 4
"""Additional passes of S3Gen in a step while a client waits for the first sound of a stream."""
MAX_STREAMS = 4
"""Streams at once. Each keeps 0.7 GB of the estimator's cache, in float32. Further ones are synthesized whole."""

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Progress:
    """How far an utterance has got."""

    utterance: Utterance
    sequence: TokenSequence
    """Its speech tokens, in T3."""
    voice: Conditionals
    seed: int
    began_at: float
    """When T3 started on it, by `time.perf_counter`."""
    stream: StreamState | None = None
    """Its state in S3Gen, if it is synthesized hop by hop."""
    generating: bool = True
    """Whether T3 still generates its tokens."""
    ready_at: float = 0.0
    """When T3 had generated what S3Gen is to synthesize next, by `time.perf_counter`."""
    synthesis: Generator[None, None, NDArray[np.float32]] | None = None
    """S3Gen's work on it, a pass for each `next`. Returns samples."""
    saved: SavedSequence | None = None
    """What T3 needs to continue it, if T3 was generating it when it was paused."""

    @property
    def urgent(self) -> bool:
        """Whether it is a stream that has not produced any sound yet."""
        return self.stream is not None and not self.utterance.chunks


class Utterances:
    """All utterances in progress in a model. For one thread."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._progress: dict[Utterance, Progress] = {}

    def begin(
        self, text: str, voice: Conditionals, params: SynthesisParams, seed: int, *, stream: bool = False
    ) -> Utterance:
        """Start on a text. T3 must have a free slot. Raises InvalidText or SynthesisFailed."""
        began_at = time.perf_counter()
        try:
            with OneOutOfMemoryError():
                sequence = self.model.add_sequence(text, voice, params, seed)
        except torch.OutOfMemoryError as error:
            raise self._no_memory(error) from error
        utterance = Utterance()
        streams = sum(each.stream is not None for each in self._progress.values())
        streamed = self.model.start_stream(voice, seed) if stream and streams < MAX_STREAMS else None
        self._progress[utterance] = Progress(utterance, sequence, voice, seed, began_at, streamed)
        return utterance

    def step(self) -> None:
        """Have T3 generate a token of each utterance, and S3Gen run as many passes as utterances wait for it.

        So T3 is not kept waiting for long, nor left with few takes to batch. All the passes go to the utterance that
        has waited longest. The first hop of a stream, which is short, precedes the others and gets more passes.
        """
        self._generate()
        waiting = self._waiting_for_s3gen()
        for _ in range(len(waiting) + URGENT_PASSES * any(each.urgent for each in waiting)):
            self._synthesize()

    def pause(self, utterance: Utterance) -> None:
        """Pause an utterance. If there is no memory to keep it in, it ends with an error."""
        progress = self._progress.get(utterance)
        if progress is None or utterance.paused:
            return
        utterance.paused = True
        if progress.generating:
            try:
                with OneOutOfMemoryError():
                    progress.saved = self.model.t3.pause_sequence(progress.sequence)
            except torch.OutOfMemoryError as error:
                self._end(progress, error=self._no_memory(error))

    def resume(self, utterance: Utterance) -> None:
        """Continue a paused utterance. If memory does not suffice it stays paused. Raises SynthesisFailed."""
        progress = self._progress.get(utterance)
        if progress is None or not utterance.paused:
            return
        if progress.saved is not None:
            try:
                with OneOutOfMemoryError():
                    self.model.t3.resume_sequence(progress.sequence, progress.saved)
            except torch.OutOfMemoryError as error:
                raise self._no_memory(error) from error
            progress.saved = None
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        """Forget an utterance, however far it has got. One that has ended is left as it is."""
        progress = self._progress.pop(utterance, None)
        if progress is None:
            return
        self.model.t3.free_sequence(progress.sequence)
        if progress.synthesis is not None:
            progress.synthesis.close()

    def _generate(self) -> None:
        generating = [each for each in self._progress.values() if each.generating and not each.utterance.paused]
        try:
            with OneOutOfMemoryError():
                self.model.t3.step()
        except torch.OutOfMemoryError as error:
            failure = self._no_memory(error)
            for progress in generating:
                self._end(progress, error=failure)
            return
        for progress in generating:
            if progress.sequence.done:
                self._finish_generating(progress)
            else:
                self._start_hop(progress)

    def _finish_generating(self, progress: Progress) -> None:
        """Pass an utterance on from T3 to S3Gen. It ends here if it has no tokens to synthesize."""
        sequence = progress.sequence
        self.model.t3.free_sequence(sequence)
        progress.generating, progress.ready_at = False, time.perf_counter()
        stage_duration.labels("t3").observe(progress.ready_at - progress.began_at)
        progress.utterance.complete = sequence.complete
        try:
            tokens = progress.utterance.tokens = sequence.completion_tokens()
        except SynthesisFailed as error:
            self._end(progress, error=error)
            return
        if not tokens:
            self._end(progress, samples=np.empty(0, np.float32))
        elif progress.stream is not None and progress.stream.started:
            self._start_hop(progress)
        else:  # not a stream, or one that ended before its first hop
            progress.stream = None
            progress.synthesis = self.model.synthesize(tokens, progress.voice, progress.seed)

    def _start_hop(self, progress: Progress) -> None:
        """Start a stream's next hop, if there are enough new tokens for one, or T3 has generated the last."""
        sequence, stream = progress.sequence, progress.stream
        if stream is None or progress.synthesis is not None:
            return
        if not progress.generating:
            progress.synthesis = stream.synthesize_hop(sequence.completion_tokens(), last=True)
        elif len(sequence.tokens) >= stream.next_hop_at:
            progress.ready_at = time.perf_counter()
            progress.synthesis = stream.synthesize_hop(list(sequence.tokens), last=False)

    def _waiting_for_s3gen(self) -> list[Progress]:
        return [each for each in self._progress.values() if each.synthesis is not None and not each.utterance.paused]

    def _synthesize(self) -> None:
        """Run one pass of S3Gen: urgent streams come first, then whichever has waited longest."""
        progress = min(self._waiting_for_s3gen(), key=lambda each: (not each.urgent, each.ready_at), default=None)
        if progress is None or progress.synthesis is None:
            return
        try:
            # `synthesis` is a generator used as a coroutine: each `next` runs one pass and stops at a yield, with all
            # tensors of the take in its frame, so that any other work may come in between. The samples are its return
            # value, which Python delivers in StopIteration.
            with OneOutOfMemoryError():
                next(progress.synthesis)
        except StopIteration as finished:
            self._deliver(progress, finished.value)
        except SynthesisFailed as error:
            self._end(progress, error=error)
        except torch.OutOfMemoryError as error:
            self._end(progress, error=self._no_memory(error))

    def _deliver(self, progress: Progress, samples: NDArray[np.float32]) -> None:
        """Hand out the samples that S3Gen has made: a chunk of a stream, or the whole take."""
        stream, utterance = progress.stream, progress.utterance
        if stream is None:
            self._end(progress, samples=samples)
            return
        utterance.chunks.append(samples)
        progress.synthesis = None
        if stream.finished:
            self._end(progress, samples=np.concatenate(utterance.chunks))
        elif not progress.generating:
            self._start_hop(progress)

    def _end(
        self, progress: Progress, *, samples: NDArray[np.float32] | None = None, error: SynthesisFailed | None = None
    ) -> None:
        self.drop(progress.utterance)
        progress.utterance.samples, progress.utterance.error = samples, error

    def _no_memory(self, error: BaseException) -> SynthesisFailed:
        logger.warning("out of memory: %s", error)
        return SynthesisFailed(f"There is not enough memory ({self.model.device.type}) for this sentence.")
