"""The configuration of a voice: the JSON that is published beside its model."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monica.errors import ConfigError

MAX_BYTES = 2**20
"""Those that are published have five kilobytes, or thirty with hundreds of speakers."""
_SPEAKER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # a voice's name in the API

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """What Monica reads of it."""

    name: str
    sample_rate: int
    """Hertz."""
    espeak_voice: str
    """The voice of espeak-ng whose phonemes it learned from: `fr`, `en-us`."""
    ids: dict[str, tuple[int, ...]]
    """The numbers of each symbol."""
    speakers: dict[str, int]
    """The numbers of its speakers by name; may be empty if it has one."""
    scales: tuple[float, float, float]
    """How much the sound varies, how long a phoneme lasts, how much its length varies."""


def read_config(path: Path) -> VoiceConfig:
    """Read the configuration of a voice. Raises ConfigError if it is broken, or of a kind that Monica cannot speak."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is too large to be the configuration of a voice.")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}.") from error
    try:
        kind = content.get("phoneme_type", "espeak")
        config = _parse(path.name.removesuffix(".onnx.json"), content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path} is not the configuration of a Piper voice: {reason}.") from error
    if kind != "espeak":
        raise ConfigError(f"{path}: the voice reads {kind} instead of espeak-ng's phonemes, which Monica cannot write.")
    return config


def _parse(name: str, content: Any) -> VoiceConfig:
    ids = {symbol: tuple(map(int, numbers)) for symbol, numbers in content["phoneme_id_map"].items()}
    for symbol in "^_$":
        ids[symbol]
    rate = int(content["audio"]["sample_rate"])
    if not 8000 <= rate <= 48000:
        raise ValueError(f"its sample rate is {rate}")
    inference = content.get("inference", {})
    speakers = {str(speaker).lower(): int(number) for speaker, number in content.get("speaker_id_map", {}).items()}
    unusable = [speaker for speaker in speakers if not _SPEAKER.fullmatch(speaker)]
    if unusable:
        logger.warning("piper: %d speakers of %s are left out: their names cannot be voices'", len(unusable), name)
    return VoiceConfig(
        name,
        rate,
        str(content["espeak"]["voice"]),
        ids,
        {speaker: number for speaker, number in speakers.items() if speaker not in unusable},
        (
            float(inference.get("noise_scale", 0.667)),
            float(inference.get("length_scale", 1.0)),
            float(inference.get("noise_w", 0.8)),
        ),
    )
