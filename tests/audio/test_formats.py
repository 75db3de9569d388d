"""Sound in every format, encoded as a whole and as a stream."""

from __future__ import annotations

import gc
import io
import itertools
import json
import struct
import subprocess
import sys
import wave
import weakref
from collections.abc import Iterable

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import resample_poly
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from monica.audio.formats import MEDIA_TYPES, Format, StreamEncoder, encode_sound
from monica.audio.wav import encode_wav, to_pcm
from tests.support.server import ROOT
from tests.support.sounds import Sound, likeness, noise, silence, sine, speech
from tests.support.system import program

LOSSLESS = (Format.WAV, Format.PCM, Format.FLAC)
LOSSY = (Format.MP3, Format.OPUS, Format.AAC)
FRAME = {Format.MP3: 576, Format.OPUS: 480, Format.AAC: 1024}  # samples, at the rates of speech
RATES = (22_050, 24_000)  # espeak-ng's and Chatterbox's


def decode(data: bytes, format: Format, rate: int) -> Sound:
    """Decode a sound at the rate of the samples that were encoded."""
    options = {"sample_rate": str(rate), "ch_layout": "mono"} if format is Format.PCM else {}
    named = {Format.PCM: "s16le", Format.AAC: "aac"}.get(format)  # two frames of AAC are not recognised without it
    with av.open(io.BytesIO(data), "r", format=named, options=options) as container:
        frames = list(container.decode(audio=0))
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    if sound.dtype == np.int16:
        sound = sound.astype(np.float32) / 32768
    if frames[0].sample_rate != rate:  # Opus decodes at 48 kHz
        common = np.gcd(frames[0].sample_rate, rate)
        sound = resample_poly(sound, rate // common, frames[0].sample_rate // common)
    return sound.astype(np.float32)


def stream(samples: Sound | NDArray[np.int16], rate: int, format: Format, chunks: Iterable[int]) -> bytes:
    """Encode in chunks of the given sizes, over and over."""
    encoder = StreamEncoder(format, rate)
    data, at = b"", 0
    for size in itertools.cycle(chunks):
        data += encoder.encode_chunk(samples[at : at + size])
        at += size
        if at >= len(samples):
            return data + encoder.encode_end()
    raise AssertionError


def announcement(rate: int) -> Sound:
    """Return speech that ends abruptly. In a silence at the end, a lost end would go unnoticed."""
    return np.concatenate([speech()[0][:rate], noise(0.05, rate)])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("format", Format)
def test_decoded_sound_is_the_encoded_one_to_its_last_sample(format: Format, whole: bool, rate: int) -> None:
    said = announcement(rate)
    heard = decode(encode_sound(said, rate, format) if whole else stream(said, rate, format, [1000]), format, rate)
    if format in LOSSLESS:
        np.testing.assert_array_equal(to_pcm(heard), to_pcm(said))
    else:
        assert likeness(heard, said) > 0.95
        # The end is compared by itself: in the whole, the loss of fifty milliseconds would go unnoticed.
        assert likeness(heard[-3 * rate // 20 :], said[-rate // 20 :]) * np.sqrt(3) > 0.6
        exact = format is Format.OPUS or (format is Format.MP3 and whole)
        assert -1 <= len(heard) - len(said) <= (1 if exact else 3 * FRAME[format])


@pytest.mark.parametrize("format", LOSSLESS)
@given(chunks=st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any), as_pcm=st.booleans())
@settings(deadline=None, max_examples=30)
def test_chunk_sizes_do_not_matter_to_lossless_formats(format: Format, chunks: list[int], as_pcm: bool) -> None:
    said = announcement(24_000)
    streamed = stream(to_pcm(said) if as_pcm else said, 24_000, format, chunks)
    head = {Format.WAV: 44, Format.PCM: 0, Format.FLAC: 42}[format]  # fLaC, a block header and STREAMINFO
    assert streamed[head:] == encode_sound(said, 24_000, format)[head:]


@pytest.mark.parametrize("format", LOSSY)
@given(chunks=st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any))
@settings(deadline=None, max_examples=15)
def test_chunk_sizes_do_not_matter_to_lossy_formats(format: Format, chunks: list[int]) -> None:
    said = announcement(22_050)
    assert stream(said, 22_050, format, chunks) == stream(said, 22_050, format, [len(said)])


@pytest.mark.parametrize("format", Format)
def test_bytes_come_out_as_sound_goes_in(format: Format) -> None:
    said = noise(2, 24_000)
    encoder = StreamEncoder(format, 24_000)
    first = encoder.encode_chunk(said[:24_000])
    second = encoder.encode_chunk(said[24_000:]) + encoder.encode_end()
    assert len(first) > 0.7 * len(second)


@pytest.mark.parametrize("format", Format)
def test_same_sound_gives_the_same_bytes(format: Format) -> None:
    said = announcement(24_000)
    assert encode_sound(said, 24_000, format) == encode_sound(said, 24_000, format)
    assert encode_sound(said, 24_000, format) == encode_sound(to_pcm(said), 24_000, format)
    assert stream(said, 24_000, format, [999]) == stream(said, 24_000, format, [999])


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("samples", [0, 1, 100])
def test_very_short_sounds(format: Format, samples: int) -> None:
    said = sine(440, 1, 24_000)[:samples]
    whole, streamed = encode_sound(said, 24_000, format), stream(said, 24_000, format, [7])
    assert len(streamed) < 1000
    if samples:
        assert len(decode(whole, format, 24_000)) >= samples
        assert len(decode(streamed, format, 24_000)) >= samples


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_051, 44_100, 48_000, 96_000])
def test_any_rate(format: Format, rate: int) -> None:
    said = sine(440, 1, rate)
    assert likeness(decode(encode_sound(said, rate, format), format, rate), said) > 0.95


@pytest.mark.parametrize("format", Format)
def test_abandoned_encoder_leaves_nothing_behind(format: Format) -> None:
    begun, unused = StreamEncoder(format, 24_000), StreamEncoder(format, 24_000)
    begun.encode_chunk(noise(1, 24_000))
    left = [weakref.ref(begun), weakref.ref(unused)]
    del begun, unused
    gc.collect()
    assert [each() for each in left] == [None, None]


def test_whole_wav_is_that_of_encode_wav() -> None:
    said = announcement(24_000)
    assert encode_sound(said, 24_000, Format.WAV) == encode_wav(said, 24_000)


def test_streamed_wav_states_that_its_length_is_unknown() -> None:
    said = announcement(24_000)
    data, whole = stream(said, 24_000, Format.WAV, [1000]), encode_wav(said, 24_000)
    assert [struct.unpack_from("<I", data, at)[0] for at in (4, 40)] == [0xFFFFFFFF] * 2
    assert (data[:4], data[8:40]) == (whole[:4], whole[8:40])


def test_streamed_wav_is_read_to_its_end() -> None:
    said = announcement(24_000)
    data = stream(said, 24_000, Format.WAV, [1000])
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(data), dtype="int16")[0], to_pcm(said))
    with wave.open(io.BytesIO(data)) as reader:
        assert reader.readframes(reader.getnframes()) == to_pcm(said).tobytes()


def test_whole_flac_states_its_length_and_a_streamed_one_does_not() -> None:
    said = announcement(24_000)
    assert soundfile.info(io.BytesIO(encode_sound(said, 24_000, Format.FLAC))).frames == len(said)
    total = struct.unpack_from(">Q", stream(said, 24_000, Format.FLAC, [1000]), 18)[0] & (1 << 36) - 1
    assert total == 0


def test_streamed_mp3_has_no_frame_that_states_its_length() -> None:
    said = announcement(24_000)
    assert b"Info" in encode_sound(said, 24_000, Format.MP3)[:200]
    streamed = stream(said, 24_000, Format.MP3, [1000])[:200]
    assert b"Info" not in streamed
    assert b"Xing" not in streamed


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("chunk", [700, 10**6])
def test_resampled_sound_is_the_same_sound(format: Format, chunk: int) -> None:
    said = np.concatenate([sine(440, 1, 22_050), silence(0.1, 22_050)])
    encoder = StreamEncoder(format, 22_050, 24_000)
    streamed = b"".join([encoder.encode_chunk(said[at : at + chunk]) for at in range(0, len(said), chunk)])
    streamed += encoder.encode_end()
    for data in (encode_sound(said, 22_050, format, 24_000), streamed):
        heard = decode(data, format, 24_000)
        assert likeness(heard, sine(440, 1, 24_000)) > 0.99
        assert -1 <= len(heard) - len(said) * 24_000 / 22_050 <= 3 * FRAME.get(format, 1)


@pytest.mark.parametrize(
    ("format", "codec", "container"),
    [("wav", "pcm_s16le", "wav"), ("flac", "flac", "flac"), ("mp3", "mp3", "mp3"), ("opus", "opus", "ogg"),
     ("aac", "aac", "aac")],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False])
def test_ffprobe_recognises_every_format(format: str, codec: str, container: str, whole: bool) -> None:
    ffprobe = program("ffprobe")
    said = announcement(24_000)
    data = encode_sound(said, 24_000, Format(format)) if whole else stream(said, 24_000, Format(format), [1000])
    entries = "stream=codec_name,channels,sample_rate:format=format_name"
    done = subprocess.run(
        [ffprobe, "-v", "error", "-count_packets", "-show_entries", entries, "-of", "json", "-i", "pipe:0"],
        input=data, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    found = json.loads(done.stdout)
    (audio,) = found["streams"]
    assert (audio["codec_name"], audio["channels"], found["format"]["format_name"]) == (codec, 1, container)
    assert audio["sample_rate"] == ("48000" if format == "opus" else "24000")


def test_media_types() -> None:
    sent = [format.content_type(24_000) for format in Format]
    assert sent == [
        "audio/wav", "audio/pcm;rate=24000", "audio/flac", "audio/mpeg", "audio/ogg; codecs=opus", "audio/aac",
    ]  # fmt: skip
    assert [format.suffix for format in Format] == [".wav", ".pcm", ".flac", ".mp3", ".opus", ".aac"]
    assert {MEDIA_TYPES[name.partition(";rate")[0]] for name in sent} == set(Format)


@pytest.mark.parametrize(
    ("accept", "format"),
    [("*/*", Format.WAV), ("audio/*", Format.WAV), ("audio/ogg", Format.OPUS), ("audio/ogg; codecs=opus", Format.OPUS),
     ("audio/mpeg, audio/*;q=0.5", Format.MP3), ("application/json", None)],
)  # fmt: skip
def test_client_gets_a_format_it_accepts(accept: str, format: Format | None) -> None:
    chosen = parse_accept_header(accept, MIMEAccept).best_match(MEDIA_TYPES)
    assert (MEDIA_TYPES[chosen] if chosen else None) is format


def test_libraries_are_imported_only_when_needed() -> None:
    script = (
        "import sys, numpy as np, monica.audio.formats as f, monica.audio.stretch as s;"
        "x = np.ones(100, np.float32); e = f.StreamEncoder(f.Format.WAV, 8000); e.encode_chunk(x); e.encode_end();"
        "f.encode_sound(x, 8000, f.Format.PCM); s.stretch(x, 8000, 1.0);"
        "print([m for m in ('av', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
