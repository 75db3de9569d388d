"""Recordings of voices, made with the embedded engine, and files that cannot be used as one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast
from zlib import crc32

import av
import numpy as np
import soundfile

from tests.support.sounds import Sound, noise, silence, speech


def recording(pitch: float = 1.0, format: str = "WAV") -> bytes:
    """Return a few seconds of speech as the content of a file. Another pitch makes another voice."""
    samples, rate = speech()
    at = np.arange(0, len(samples) - 1, pitch)
    return encoded(np.interp(at, np.arange(len(samples)), samples).astype(np.float32), rate, format)


def encoded(samples: Sound, rate: int, format: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def record(folder: Path, *names: str) -> None:
    """Write recordings into a folder, each of a different voice."""
    folder.mkdir(exist_ok=True)
    for name in names:
        pitch = 1 + crc32(name.encode()) % 5000 / 10_000
        (folder / name).write_bytes(recording(pitch, Path(name).suffix[1:].upper()))


UNUSABLE = {
    "text": b"this is not a recording",
    "empty": b"",
    "half a header": recording()[:20],
    "zip": b"PK\x03\x04" + b"\0" * 1000,
    "no sound": encoded(silence(0, 16_000), 16_000),
    "short": encoded(noise(0.5, 16_000), 16_000),
    "silent": encoded(silence(2, 16_000), 16_000),
    "no numbers": encoded(np.full(32_000, np.nan, np.float32), 16_000, subtype="FLOAT"),
    "slow": encoded(noise(10, 1_000), 1_000),
    "fast": encoded(noise(0.4, 500_000), 500_000),
}


def phone_recording(
    format: str, codec: str, *, rate: int = 48_000, seconds: float = 3.0, channels: int = 1, video: bool = False
) -> bytes:
    """Return a tone as a phone or a browser records it, the same in all channels. format: libav's name of it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate))
        stream.layout = layout = ("mono", "stereo")[channels - 1]
        if video:
            picture = container.add_stream("mpeg4", 5)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
            container.mux(picture.encode(None))
        tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(int(seconds * rate)) / rate)
        samples = np.repeat((tone * 32767).astype(np.int16), channels)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        if seconds:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
