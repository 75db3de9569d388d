"""Recordings as phones and browsers make them, and files that only look like recordings."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from monica.errors import ConfigError
from monica.voices.phone_recording import decode_phone_recording
from monica.voices.recording import BadRecording, read_recording, read_reference, suffix_of
from tests.support.recordings import phone_recording

AMR = "libopencore_amrnb"
KINDS = {
    "m4a": ("mp4", "aac", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "3gp": ("3gp", AMR, 8_000),
    "amr": ("amr", AMR, 8_000),
    "aac": ("adts", "aac", 44_100),
    "mov": ("mov", "alac", 44_100),
}
SUFFIX = {"3gp": "m4a", "mov": "m4a"}


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(kind, channels) for kind in KINDS for channels in (1, 2) if channels == 1 or KINDS[kind][1] != AMR],
)
def test_recording_of_a_phone_is_read(tmp_path: Path, kind: str, channels: int) -> None:
    format, codec, rate = KINDS[kind]
    path = tmp_path / "voice"  # the name says nothing
    path.write_bytes(phone_recording(format, codec, rate=rate, channels=channels))
    reference = read_reference(path, 120)
    assert (reference.sample_rate, reference.samples.dtype.name, reference.samples.ndim) == (rate, "float32", 1)
    assert len(reference.samples) == pytest.approx(3 * rate, rel=0.05)
    # AMR is made for speech, and turns a tone down.
    level = np.sqrt(np.mean(reference.samples[rate : 2 * rate] ** 2))
    assert level == pytest.approx(0.3 / np.sqrt(2), rel=0.3 if codec == AMR else 0.05)
    assert suffix_of(path) == f".{SUFFIX.get(kind, kind)}"
    assert read_reference(path, 120).digest == reference.digest


def test_sound_of_a_video_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(phone_recording("mp4", "aac", video=True))
    assert len(read_recording(path, 120, "").samples) == pytest.approx(3 * 48_000, rel=0.05)


def test_only_as_much_is_decoded_as_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A small file may hold hours."""
    path = tmp_path / "long.webm"
    path.write_bytes(phone_recording("webm", "libopus", seconds=30))
    with caplog.at_level("INFO"):
        assert len(read_recording(path, 2, "voice").samples) == 2 * 48_000
    assert "voice: long.webm, cropped from 30.0 s to 2.0 s" in caplog.text
    frames = 0

    def refuse(rate: int) -> None:
        nonlocal frames
        frames += 1
        raise BadRecording("Too fast.")

    with pytest.raises(BadRecording, match="Too fast"):
        decode_phone_recording(path, 2, refuse)
    assert frames == 1, "the rate decides before anything is kept in memory"


@pytest.mark.parametrize("kind", ["hls", "concat", "sdp", "dash"])
def test_lists_of_other_files_and_addresses_are_not_opened(tmp_path: Path, kind: str) -> None:
    """Or whoever may upload a voice could have this machine fetch anything, and hear any sound on it."""
    secret = tmp_path / "secret.m4a"
    secret.write_bytes(phone_recording("mp4", "aac"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.m4a"
        for target in (address, str(secret), "secret.m4a", f"file:{secret}"):
            path = tmp_path / f"voice.{kind}"
            path.write_text(
                {
                    "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
                    "concat": f"ffconcat version 1.0\nfile {target}\n",
                    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
                    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                    'mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="audio/mp4"><Representation '
                    f'id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>',
                }[kind]
            )
            with pytest.raises(BadRecording, match="not a recording that can be read"):
                read_recording(path, 120, "")
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("damage", ["cut", "no sound", "noise"])
def test_damaged_recording_names_what_is_accepted(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "voice.m4a"
    whole = phone_recording("mp4", "aac")
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "noise":
        path.write_bytes(whole[:40] + np.random.default_rng(0).bytes(5000))
    else:
        path.write_bytes(phone_recording("mp4", "aac", seconds=0, video=True))
    with pytest.raises(ConfigError) as caught:
        read_reference(path, 120)
    assert "Accepted are WAV, FLAC, Ogg, MP3, AIFF, M4A, MP4, WebM, 3GP, AMR and AAC." in str(caught.value)
