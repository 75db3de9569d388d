"""Recordings as phones and browsers make them, which libsndfile does not read. libav does, through PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.container import InputContainer

SUFFIXES = {"mov": ".m4a", "matroska": ".webm", "ogg": ".ogg", "amr": ".amr", "aac": ".aac", "caf": ".caf"}
"""The containers that are opened, by libav's names, with the suffix of a file. `mov` is MP4, M4A, MOV and 3GP too.

libav knows a hundred more. Some of them are lists of other files and of addresses (HLS, DASH, concat, SDP), which it
would go and fetch for whoever uploads one.
"""
_OPTIONS = {"format_whitelist": ",".join(SUFFIXES), "protocol_whitelist": "none"}


def decode_phone_recording(
    path: Path, max_seconds: float, check_rate: Callable[[int], None]
) -> tuple[NDArray[np.float32], int, float]:
    """Decode the first sound of a recording.

    Returns (N,) mono samples of `max_seconds` at most, their rate, and how many seconds there are in all.

    check_rate: called with the rate before anything is kept in memory; what it raises ends the work.
    Raises ValueError if the file is not such a recording, or is damaged.
    """
    from av import AudioResampler

    blocks: list[NDArray[np.float32]] = []
    rate, missing = 0, 1
    resampler = None
    with _opened(path) as container:
        for frame in container.decode(container.streams.audio[0]):
            if resampler is None:
                # The rate of the first frame: what the header of an HE-AAC says is half of it.
                rate = frame.sample_rate
                check_rate(rate)
                missing = int(max_seconds * rate)
                # Only to floats. libav's own way to mono makes two equal channels louder by 3 dB.
                resampler = AudioResampler("fltp", frame.layout, rate)
            for channels in resampler.resample(frame):
                blocks.append(channels.to_ndarray().mean(axis=0)[:missing])
                missing -= len(blocks[-1])
            if missing <= 0:
                break
        seconds = (container.duration or 0) / 1e6
    if resampler is None:
        raise ValueError("there is no sound in it")
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    return samples, rate, max(seconds, len(samples) / rate)


def container_suffix(path: Path) -> str:
    """Return the file suffix that fits a recording's container. Raises ValueError as `decode_phone_recording` does."""
    with _opened(path) as container:
        return next(SUFFIXES[name] for name in container.format.name.split(",") if name in SUFFIXES)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    import av

    try:
        # The open file and not its path: libav takes a path for an address if it looks like one.
        with path.open("rb") as file, av.open(file, "r", options=_OPTIONS, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise ValueError("there is no sound in it")
            yield container
    except (av.FFmpegError, OSError, TypeError) as error:
        raise ValueError(str(error)) from error
