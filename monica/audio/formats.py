"""Encodes sound in the formats of OpenAI's speech API, as a whole or while it is being made.

libav does the encoding, through PyAV, which is imported only for the formats that need it; WAV and PCM do not. The same
samples always give the same bytes, as an ETag requires: neither random numbers nor the time are written into them.
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
    """A format. Its value is the extension of its files. All are mono; WAV, PCM and FLAC are 16 bits and lossless."""

    WAV = "wav"
    PCM = "pcm"
    FLAC = "flac"
    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"

    @property
    def suffix(self) -> str:
        return f".{self.value}"

    @property
    def states_length(self) -> bool:
        """Whether the header of a file states how long the sound is, which is not known while it is being made."""
        return self in (Format.WAV, Format.FLAC)

    def content_type(self, rate: int) -> str:
        """Return the Content-Type to send. rate: hertz of the sound sent, which nothing else states for PCM."""
        return f"audio/pcm;rate={rate}" if self is Format.PCM else _MEDIA_TYPES[self][0]


# The first one is sent. Opus in Ogg is audio/ogg by RFC 7845, section 9. OpenAI sends audio/opus, which by RFC 7587 is
# for RTP only, and which browsers need not know. audio/L16 is left out: it is big-endian (RFC 2586).
_MEDIA_TYPES = {
    Format.WAV: ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    Format.PCM: ("audio/pcm",),
    Format.FLAC: ("audio/flac", "audio/x-flac"),
    Format.MP3: ("audio/mpeg", "audio/mp3"),
    Format.OPUS: ("audio/ogg; codecs=opus", "audio/ogg", "audio/opus"),
    Format.AAC: ("audio/aac",),
}
MEDIA_TYPES = {name: format for format, names in _MEDIA_TYPES.items() for name in names}
"""The media types a client may accept, with their formats. They are in order of preference, so that */* is WAV."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """How libav encodes one format."""

    name: str
    """The name of libav's encoder."""
    container: str
    """The name of libav's muxer."""
    bit_rate: int | None = None
    """Bits per second. None for a lossless codec."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the muxer."""


# The rates are ample for one voice: Opus needs 28 to 40 kb/s for full-band speech (RFC 7587, section 3.1.1).
_CODECS = {
    Format.FLAC: _Codec("flac", "flac", options={"metadata_header_padding": "0"}),
    Format.MP3: _Codec("libmp3lame", "mp3", 64_000),
    # In microseconds. With the usual one page per second, the sound would arrive a second late.
    Format.OPUS: _Codec("libopus", "ogg", 32_000, {"page_duration": "100000"}),
    Format.AAC: _Codec("aac", "adts", 64_000),
}


class _Pipe:
    """Holds what is written until it is read. It has no `seek`, which tells PyAV that it cannot be rewound."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes, /) -> int:
        self._held += data
        return len(data)

    def read_held(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


class StreamEncoder:
    """Encodes a sound while it is being made. For use by one thread. An abandoned encoder need not be closed.

    rate: hertz of the samples. out_rate: hertz of the encoded sound; None for that of the samples. If the format does
    not support a rate, the next higher one is used. An out_rate is needed, for example, because OpenAI's PCM is 24 kHz
    by definition.
    """

    def __init__(self, format: Format, rate: int, out_rate: int | None = None) -> None:
        self._pipe = _Pipe()
        if format is Format.WAV:
            self._pipe.write(wav_stream_header(out_rate or rate))
        self._writer = _open_writer(format, rate, out_rate or rate, self._pipe)

    def encode_chunk(self, samples: Samples) -> bytes:
        """Take (N,) more samples, int16 or float in [-1, 1]. Return the bytes that are ready, possibly none."""
        self._writer.write(samples)
        return self._pipe.read_held()

    def encode_end(self) -> bytes:
        """Return the remaining bytes. No chunk may follow."""
        self._writer.close()
        return self._pipe.read_held()


def encode_sound(samples: Samples, rate: int, format: Format, out_rate: int | None = None) -> bytes:
    """Encode (N,) samples, int16 or float in [-1, 1], as a whole, so that the file states its length.

    An MP3 then also states what to cut off its ends, so that it plays for exactly as long as the samples last. Opus
    does so even as a stream. out_rate: as for StreamEncoder.
    """
    sink = io.BytesIO()
    writer = _open_writer(format, rate, out_rate or rate, sink)
    writer.write(samples)
    writer.close()
    if format is Format.WAV:
        return encode_wav(np.frombuffer(sink.getvalue(), np.int16), out_rate or rate)
    return sink.getvalue()


def _open_writer(format: Format, rate: int, out_rate: int, sink: _Pipe | io.BytesIO) -> _PcmWriter | _CodecWriter:
    if format in _CODECS:
        return _CodecWriter(_CODECS[format], rate, out_rate, sink)
    return _PcmWriter(rate, out_rate, sink)


class _PcmWriter:
    """Writes samples as they are: 16 bits, little-endian."""

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
            self._write_frames(self._resampler.resample(_audio_frame(samples, self._rate)))

    def close(self) -> None:
        if self._resampler is not None:
            self._write_frames(self._resampler.resample(None))

    def _write_frames(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._sink.write(frame.to_ndarray().astype("<i2").tobytes())


class _CodecWriter:
    """Writes samples through a codec and a container of libav."""

    def __init__(self, codec: _Codec, rate: int, out_rate: int, sink: _Pipe | io.BytesIO) -> None:
        import av

        self._rate = rate
        options = {"fflags": "+bitexact", **codec.options}  # without it the serial number of an Ogg stream is random
        self._container = av.open(sink, "w", format=codec.container, options=options)
        supported = av.Codec(codec.name, "w").audio_rates or [out_rate]  # None: it supports every rate
        nearest = min((each for each in supported if each >= out_rate), default=max(supported))
        self._stream = cast("AudioStream", self._container.add_stream(codec.name, nearest))
        self._stream.layout = "mono"
        if codec.bit_rate is not None:
            self._stream.bit_rate = codec.bit_rate
        self._container.start_encoding()

    def write(self, samples: Samples) -> None:
        if len(samples):
            self._container.mux(self._stream.encode(_audio_frame(samples, self._rate)))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _audio_frame(samples: Samples, rate: int) -> AudioFrame:
    from av import AudioFrame

    # 16 bits for every codec: kept takes have no more.
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(to_pcm(samples))[None], format="s16", layout="mono")
    frame.sample_rate = rate
    return frame
