"""Sound in the formats that OpenAI's speech API has, whole or while it is being made.

libav encodes, through PyAV, which is imported where a format needs it: WAV and PCM do not. The same samples give the
same bytes every time, as an ETag needs: nothing of chance or of the clock is written into them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import numpy as np

from monica.audio.wav import Samples, encode_wav, to_pcm, wav_stream_header

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream


class Format(StrEnum):
    """A format, named as its files end. All are mono; WAV, PCM and FLAC are 16 bits and lossless."""

    WAV = "wav"
    PCM = "pcm"
    FLAC = "flac"
    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"

    @property
    def suffix(self) -> str:
        return f".{self.value}"

    def content_type(self, rate: int) -> str:
        """Return what to send as its Content-Type. rate: hertz of what is sent; nothing else tells that of PCM."""
        return f"audio/pcm;rate={rate}" if self is Format.PCM else _MEDIA_TYPES[self][0]


# The first is sent. Opus in Ogg is audio/ogg by RFC 7845, section 9; OpenAI sends audio/opus, which by RFC 7587 is RTP
# alone, and browsers need not know it. No audio/L16: its bytes are the other way round (RFC 2586).
_MEDIA_TYPES = {
    Format.WAV: ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    Format.PCM: ("audio/pcm",),
    Format.FLAC: ("audio/flac", "audio/x-flac"),
    Format.MP3: ("audio/mpeg", "audio/mp3"),
    Format.OPUS: ("audio/ogg; codecs=opus", "audio/ogg", "audio/opus"),
    Format.AAC: ("audio/aac",),
}
MEDIA_TYPES = {name: format for format, names in _MEDIA_TYPES.items() for name in names}
"""What a client may accept, and the format that is. In the order of preference, so that */* is a WAV."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """name, container: libav's. bit_rate: bits a second. options: of the container."""

    name: str
    container: str
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)


# The rates are ample for one voice: Opus needs 28 to 40 kb/s for full-band speech (RFC 7587, section 3.1.1).
_CODECS = {
    Format.FLAC: _Codec("flac", "flac", options={"metadata_header_padding": "0"}),
    Format.MP3: _Codec("libmp3lame", "mp3", 64_000),
    # In microseconds. A page a second, as is usual, would come a second late.
    Format.OPUS: _Codec("libopus", "ogg", 32_000, {"page_duration": "100000"}),
    Format.AAC: _Codec("aac", "adts", 64_000),
}


class _Pipe:
    """Keeps what is written until it is taken. Cannot be rewound: it has no `seek`, which PyAV looks for."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes, /) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken, self._held = bytes(self._held), bytearray()
        return taken


class Encoder:
    """Turns a sound into bytes while it is being made. Used by one thread; one that is abandoned needs no closing.

    rate: hertz of the samples. out_rate: hertz of what comes out, None for the same, or the next that the format has;
    OpenAI's PCM, for one, is 24 kHz by definition.
    """

    def __init__(self, format: Format, rate: int, out_rate: int | None = None) -> None:
        self._pipe = _Pipe()
        if format is Format.WAV:
            self._pipe.write(wav_stream_header(out_rate or rate))
        self._coder = _coder(format, rate, out_rate or rate, self._pipe)

    def feed(self, samples: Samples) -> bytes:
        """Take in (N,) samples, int16 or float in [-1, 1]; return the bytes that are ready, which may be none."""
        self._coder.write(samples)
        return self._pipe.take()

    def finish(self) -> bytes:
        """Return the rest. Nothing may be fed after it."""
        self._coder.close()
        return self._pipe.take()


def encode(samples: Samples, rate: int, format: Format, out_rate: int | None = None) -> bytes:
    """Encode (N,) samples, int16 or float in [-1, 1], as a whole, which knows its length.

    In MP3 it also tells what to cut off its ends, so that it is heard as long as it is; Opus does so streamed too.
    """
    sink = io.BytesIO()
    coder = _coder(format, rate, out_rate or rate, sink)
    coder.write(samples)
    coder.close()
    if format is Format.WAV:
        return encode_wav(np.frombuffer(sink.getvalue(), np.int16), out_rate or rate)
    return sink.getvalue()


def _coder(format: Format, rate: int, out_rate: int, sink: _Pipe | io.BytesIO) -> _Plain | _Coded:
    if format in _CODECS:
        return _Coded(_CODECS[format], rate, out_rate, sink)
    return _Plain(rate, out_rate, sink)


class _Plain:
    """Samples as they are, 16 bits, little-endian."""

    def __init__(self, rate: int, out_rate: int, sink: _Pipe | io.BytesIO) -> None:
        self._rate = rate
        self._sink = sink
        self._resampler = None
        if out_rate != rate:
            from av import AudioResampler

            self._resampler = AudioResampler("s16", "mono", out_rate)

    def write(self, samples: Samples) -> None:
        if self._resampler is None:
            self._sink.write(to_pcm(samples).astype("<i2").tobytes())
        elif len(samples):
            self._put(self._resampler.resample(_frame(samples, self._rate)))

    def close(self) -> None:
        if self._resampler is not None:
            self._put(self._resampler.resample(None))

    def _put(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._sink.write(frame.to_ndarray().astype("<i2").tobytes())


class _Coded:
    """Samples through a codec of libav and its container."""

    def __init__(self, codec: _Codec, rate: int, out_rate: int, sink: _Pipe | io.BytesIO) -> None:
        import av

        self._rate = rate
        options = {"fflags": "+bitexact", **codec.options}  # or an Ogg stream's number would be a random one
        self._container = av.open(sink, "w", format=codec.container, options=options)
        known = av.Codec(codec.name, "w").audio_rates or [out_rate]  # none: it has them all
        nearest = min((each for each in known if each >= out_rate), default=max(known))
        self._stream = cast("AudioStream", self._container.add_stream(codec.name, nearest))
        self._stream.layout = "mono"
        if codec.bit_rate is not None:
            self._stream.bit_rate = codec.bit_rate
        self._container.start_encoding()

    def write(self, samples: Samples) -> None:
        if len(samples):
            self._container.mux(self._stream.encode(_frame(samples, self._rate)))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _frame(samples: Samples, rate: int) -> AudioFrame:
    from av import AudioFrame

    # 16 bits for every codec: what is kept of a take has no more.
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(to_pcm(samples))[None], format="s16", layout="mono")
    frame.sample_rate = rate
    return frame
