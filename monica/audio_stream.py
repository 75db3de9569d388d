"""A sentence that is heard while it is made: its takes, followed one after the other as one sound."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from monica.audio.wav import wav_pcm, wav_rate
from monica.speech import Announcement
from monica.synthesis.take import Source, Take, WaitFor

CHUNK_BYTES = 2**15
"""Size of the chunks that a kept sound is sent in: 0.7 s at 24 kHz."""


class TakeChunks(Iterator[bytes]):
    """The sound of takes, chunk by chunk as it comes. The constructor waits for the first chunk, and raises its errors.

    silences: PCM before the first take, between two, and after the last: one more than the takes. on_end: called once,
    when the chunks have ended or are closed, with whether all of them were taken; it has to leave the takes.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        deadline: float,
        wait_for: WaitFor,
        silences: Sequence[bytes],
        on_end: Callable[[bool], None],
    ) -> None:
        self._chunks = self._follow(takes, deadline, wait_for, silences, on_end)
        self._first = [next(self._chunks, b"")]

    def __next__(self) -> bytes:
        return self._first.pop() if self._first else next(self._chunks)

    def close(self) -> None:
        """Stop following the takes."""
        self._chunks.close()

    @staticmethod
    def _follow(
        takes: Sequence[Take],
        deadline: float,
        wait_for: WaitFor,
        silences: Sequence[bytes],
        on_end: Callable[[bool], None],
    ) -> Generator[bytes, None, None]:
        complete = False
        try:
            # The silence before the first take waits for its sound: what keeps that from coming is an error, not a
            # stream that breaks off after a second of nothing.
            before = silences[0]
            for take, after in zip(takes, silences[1:], strict=True):
                for chunk in take.follow(deadline, wait_for):
                    yield before + chunk
                    before = b""
                if after:
                    yield after
            complete = True
        finally:
            on_end(complete)


class WavChunks(Iterator[bytes]):
    """The sound of a WAV that exists already, in chunks."""

    def __init__(self, wav: bytes) -> None:
        pcm = wav_pcm(wav)
        self._chunks = iter([pcm[start : start + CHUNK_BYTES] for start in range(0, len(pcm), CHUNK_BYTES)])

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """There is nothing to release."""


@dataclass(frozen=True, slots=True)
class AudioStream:
    """A sentence whose sound is sent while it is made. `key`, `source` and `engine` are those of an Announcement."""

    chunks: TakeChunks | WavChunks
    """16-bit little-endian PCM. Waits for each chunk, and raises what keeps the next one from coming.

    A consumer that stops before the end must close it.
    """
    rate: int
    """Hertz."""
    key: str | None
    source: Source
    engine: str
    announcement: Announcement | None = None
    """The sound as a whole, if it existed already when it was asked for."""

    @classmethod
    def from_announcement(cls, announcement: Announcement) -> AudioStream:
        """Return a sound that exists already as a stream."""
        return cls(
            WavChunks(announcement.wav),
            wav_rate(announcement.wav),
            announcement.key,
            announcement.source,
            announcement.engine,
            announcement,
        )
