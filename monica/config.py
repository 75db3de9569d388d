"""The settings: read from the environment once, every value checked, every variable known."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from environs import Env, EnvError, ValidationError, validate
from platformdirs import user_cache_path

from monica.errors import ConfigError

DEFAULT_REFERENCE = "26-monica--interview.wav"
LANGUAGES = (
    "ar", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "it", "ja",
    "ko", "ms", "nl", "no", "pl", "pt", "ru", "sv", "sw", "tr", "zh",
)  # fmt: skip
PREFIX = "MONICA_"

_KEY = re.compile(r"[!-~]+")  # what fits into a header, and is not folded or cut there


def _setting(
    name: str,
    default: Any,
    kind: str,
    check: Callable[[Any], object] | None = None,
    *,
    may_be_empty: bool = False,
    secret: bool = False,
) -> Any:
    """Declare a field that the variable `name` sets; `kind` is the environs reader of its type."""
    metadata = {"name": name, "kind": kind, "check": check, "may_be_empty": may_be_empty}
    return field(default=default, metadata=metadata, repr=not secret)


def _level(unit: str, lowest: float, highest: float) -> Callable[[str], None]:
    """Make the check of a level in decibels that may be `off`."""

    def check(value: str) -> None:
        try:
            fits = value == "off" or lowest <= float(value) <= highest
        except ValueError:
            fits = False
        if not fits:
            raise ValidationError(f"Must be {lowest:g} to {highest:g} ({unit}), or off.")

    return check


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Durations are in seconds. What each is for: the README's table."""

    port: int = _setting("PORT", 8080, "int", validate.Range(1, 65535))
    host: str = _setting("HOST", "0.0.0.0", "str")
    log_level: str = _setting("LOG_LEVEL", "info", "str", validate.OneOf(["debug", "info", "warning", "error"]))
    reference_audio: Path | None = _setting("REFERENCE_AUDIO", Path(DEFAULT_REFERENCE), "path", may_be_empty=True)
    reference_duration_s: float = _setting("REFERENCE_DURATION_S", 120.0, "float", validate.Range(1, 3600))
    max_text_length: int = _setting("MAX_TEXT_LENGTH", 500, "int", validate.Range(1, 5000))
    engine: str = _setting("MONICA_ENGINE", "auto", "str", validate.OneOf(["auto", "chatterbox", "espeak"]))
    device: str = _setting("MONICA_DEVICE", "auto", "str", validate.OneOf(["auto", "cuda", "mps", "cpu"]))
    precision: str = _setting("MONICA_PRECISION", "auto", "str", validate.OneOf(["auto", "fp32", "bf16", "int8"]))
    model_dir: Path | None = _setting("MONICA_MODEL_DIR", None, "path")
    model_revision: str = _setting("MONICA_MODEL_REVISION", "main", "str")
    t3: str = _setting("MONICA_T3", "v3", "str", validate.OneOf(["v2", "v3"]))
    language: str = _setting("MONICA_LANGUAGE", "fr", "str", validate.OneOf(LANGUAGES))
    lexicon: Path | None = _setting("MONICA_LEXICON", None, "path")
    cache_dir: Path = _setting("MONICA_CACHE_DIR", user_cache_path("monica"), "path")
    cache_mb: int = _setting("MONICA_CACHE_MB", 2048, "int", validate.Range(1, 1_000_000))
    voices_dir: Path | None = _setting("MONICA_VOICES_DIR", None, "path")
    voice_uploads: str = _setting("MONICA_VOICE_UPLOADS", "off", "str", validate.OneOf(["off", "on"]))
    loudness: str = _setting("MONICA_LOUDNESS", "-16", "str", _level("LUFS", -40, -6))
    peak: str = _setting("MONICA_PEAK", "-1", "str", _level("dBTP", -20, 0))
    trim: str = _setting("MONICA_TRIM", "on", "str", validate.OneOf(["on", "off"]))
    queue_size: int = _setting("MONICA_QUEUE_SIZE", 64, "int", validate.Range(1, 10_000))
    deadline_s: float = _setting("MONICA_DEADLINE_S", 30.0, "float", validate.Range(0.1, 3600))
    fallback: str = _setting("MONICA_FALLBACK", "off", "str", validate.OneOf(["off", "espeak"]))
    threads: int = _setting("MONICA_THREADS", 32, "int", validate.Range(2, 512))
    api_key: str | None = _setting("MONICA_API_KEY", None, "str", secret=True)
    api_key_file: Path | None = _setting("MONICA_API_KEY_FILE", None, "path")
    api_key_scope: str = _setting("MONICA_API_KEY_SCOPE", "posts", "str", validate.OneOf(["posts", "all"]))

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment. Raises ConfigError, one line that names the variable and its value."""
        variables = {f.metadata["name"]: f for f in fields(cls)}
        for name in os.environ:
            if name.startswith(PREFIX) and name not in variables:
                nearest = difflib.get_close_matches(name, variables, n=1, cutoff=0)[0]
                raise ConfigError(f"{name} is not a setting of Monica. Did you mean {nearest}?")
        values = {f.name: _read(f) for f in fields(cls)}
        key = values["api_key"] = _read_key(values["api_key"], values["api_key_file"])
        if key is None and values["api_key_scope"] == "all":
            raise ConfigError("MONICA_API_KEY_SCOPE='all' closes nothing without a key: set MONICA_API_KEY too.")
        return cls(**values)


def _read(setting: Field[Any]) -> Any:
    name, kind = setting.metadata["name"], setting.metadata["kind"]
    value = os.environ.get(name)
    if value is None:
        return setting.default
    if not value.strip():
        # A compose file passes variables it was not given as empty ones.
        return None if setting.metadata["may_be_empty"] else setting.default
    try:
        return getattr(Env(), kind)(name, validate=setting.metadata["check"])
    except EnvError as error:
        reason = str(error).partition("invalid: ")[2].strip("[]'\" ") or str(error)
        raise ConfigError(f"{name}={value!r}: {reason}") from error


def _read_key(key: str | None, file: Path | None) -> str | None:
    """Return the API key, wherever it is kept. Raises ConfigError, which does not show it."""
    if key is not None and file is not None:
        raise ConfigError("MONICA_API_KEY and MONICA_API_KEY_FILE are both set: one of them has to go.")
    name = "MONICA_API_KEY"
    if file is not None:
        name = f"MONICA_API_KEY_FILE={str(file)!r}"
        try:
            key = file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise ConfigError(f"{name} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            key = ""
    if key is not None and not _KEY.fullmatch(key):
        raise ConfigError(f"{name}: a key is letters, digits and punctuation of ASCII, without spaces.")
    return key
