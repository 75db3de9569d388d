"""A sentence that is heard while it is made: its takes, followed one after the other as one sound."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from monica.audio.wav import wav_pcm, wav_rate
from monica.speech import Announcement
from monica.synthesis.take import Patience, Take

PIECE_BYTES = 2**15
"""Of what is there already, at a time: 0.7 s at 24 kHz."""


class Pieces(Iterator[bytes]):
    """The sound of takes, in pieces, as they come. The first is waited for here, and raises what keeps it from coming.

    silence: between two takes. left: called when nobody follows any more, to leave them; told whether all was heard.
    """

    def __init__(
        self, takes: Sequence[Take], deadline: float, patience: Patience, silence: bytes, left: Callable[[bool], None]
    ) -> None:
        self._pieces = self._hear(takes, deadline, patience, silence, left)
        self._ahead = [next(self._pieces, b"")]

    def __next__(self) -> bytes:
        return self._ahead.pop() if self._ahead else next(self._pieces)

    def close(self) -> None:
        """Follow no more."""
        self._pieces.close()

    @staticmethod
    def _hear(
        takes: Sequence[Take], deadline: float, patience: Patience, silence: bytes, left: Callable[[bool], None]
    ) -> Generator[bytes, None, None]:
        heard = False
        try:
            for number, take in enumerate(takes):
                if number:
                    yield silence
                yield from take.follow(deadline, patience)
            heard = True
        finally:
            left(heard)


class Kept(Iterator[bytes]):
    """The sound of a WAV that is there, in pieces."""

    def __init__(self, wav: bytes) -> None:
        pcm = wav_pcm(wav)
        self._pieces = iter([pcm[begin : begin + PIECE_BYTES] for begin in range(0, len(pcm), PIECE_BYTES)])

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Nothing is to be left."""


@dataclass(frozen=True, slots=True)
class AudioStream:
    """A sentence on its way. key, cache, engine: as an announcement's. rate: hertz.

    pieces: PCM, 16 bits, little-endian; raises what keeps the next one from coming. Whoever stops before the end must
    close it. A thread waits for each piece, and none is lost for who comes late.
    """

    pieces: Pieces | Kept
    rate: int
    key: str | None
    cache: str
    engine: str

    @classmethod
    def of(cls, said: Announcement) -> AudioStream:
        """Return what is there already as one."""
        return cls(Kept(said.wav), wav_rate(said.wav), said.key, said.cache, said.engine)
