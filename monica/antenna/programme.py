"""The sound of a cue as the room hears it: chime, sentence, perhaps again, chime. One file at one loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monica.antenna.chimes import ChimeBox
from monica.antenna.cue import Cue
from monica.audio.wav import encode_wav, wav_duration, wav_pcm, wav_rate

AFTER_CHIME_S = 0.25
"""Silence between a chime and the sentence."""
BETWEEN_S = 1.0
"""Silence between two times the same sentence."""


@dataclass(frozen=True, slots=True)
class Programme:
    """The sound of a cue."""

    wav: bytes
    duration_s: float
    lead_s: float
    """Seconds before the first word."""


def compose(cue: Cue, sentence: bytes, chimes: ChimeBox) -> Programme:
    """Put the chimes around a sentence. sentence: a WAV made by `encode_wav`. Raises UnknownChime."""
    if cue.repeat == 1 and cue.chimes.before is None and cue.chimes.after is None:
        return Programme(sentence, wav_duration(sentence), 0.0)
    rate = wav_rate(sentence)
    said = np.frombuffer(wav_pcm(sentence), "<i2")
    pause = np.zeros(round(AFTER_CHIME_S * rate), np.int16)
    parts = []
    if cue.chimes.before is not None:
        parts += [chimes.sound(cue.chimes.before, rate), pause]
    lead = sum(len(part) for part in parts)
    for time in range(cue.repeat):
        parts += [np.zeros(round(BETWEEN_S * rate), np.int16)] * (time > 0) + [said]
    if cue.chimes.after is not None:
        parts += [pause, chimes.sound(cue.chimes.after, rate)]
    wav = encode_wav(np.concatenate(parts), rate)
    return Programme(wav, wav_duration(wav), lead / rate)
