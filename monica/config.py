"""The settings: read from the environment once. Every value is checked, and an unknown variable is an error."""

from __future__ import annotations

import difflib
import logging
import os
from dataclasses import dataclass, fields
from pathlib import Path

from platformdirs import user_cache_path

from monica.engine.registry import EMBEDDED, engine_names
from monica.environment import (
    PREFIX,
    address,
    find_links,
    integer,
    level,
    number,
    one_of,
    origins,
    pairs,
    path,
    read_key,
    read_setting,
    setting,
    switch,
    text,
    url,
    webhook_secret,
)
from monica.errors import ConfigError

DEFAULT_REFERENCE = "26-monica--interview.wav"
LANGUAGES = (
    "ar", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "it", "ja",
    "ko", "ms", "nl", "no", "pl", "pt", "ru", "sv", "sw", "tr", "zh",
)  # fmt: skip
MAX_TEXT_LENGTH = 500
"""The default of the setting of that name, in characters."""

logger = logging.getLogger(__name__)

_STAND_INS = ", ".join(f"`{name}`" for name in EMBEDDED)


def _engine(name: str) -> str:
    # The names are asked for here and not at import: the registry may have been added to since.
    return one_of("auto", *engine_names())(name)


def _stand_in(name: str) -> str | None:
    value = one_of("off", *EMBEDDED)(name)
    return None if value == "off" else value


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Durations are in seconds. The `help` of each field says what it is for."""

    port: int = setting("PORT", 8080, integer(1, 65535), "The TCP port to listen on.")
    host: str = setting("HOST", "0.0.0.0", text, "The address to listen on; the default is every interface.")
    log_level: str = setting(
        "LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "`debug`, `info`, `warning` or `error`."
    )
    reference_audio: Path | None = setting(
        "REFERENCE_AUDIO",
        Path(DEFAULT_REFERENCE),
        path,
        "The recording whose voice is cloned. If empty, the model's built-in voice speaks.",
        may_be_empty=True,
    )
    reference_duration_s: float = setting(
        "REFERENCE_DURATION_S", 120.0, number(1, 3600), "Seconds of a recording that are used, from its start."
    )
    reference_start_s: float | None = setting(
        "MONICA_REFERENCE_START_S",
        None,
        number(0, 3600),
        "Where the ten seconds of REFERENCE_AUDIO begin that the model hears as its prompt. "
        "If not set, the best ones are chosen by signal.",
    )
    max_text_length: int = setting(
        "MAX_TEXT_LENGTH", MAX_TEXT_LENGTH, integer(1, 5000), "The longest text that is accepted, in characters."
    )
    engine: str = setting(
        "MONICA_ENGINE",
        "auto",
        _engine,
        "The engine that speaks. `auto`: the one for CUDA or MPS if this machine has either, else the best other one.",
    )
    ray_address: str | None = setting(
        "MONICA_RAY_ADDRESS", None, address, "The address of Ray Serve, where the replicas speak: http://host:8000."
    )
    ray_token_file: Path | None = setting(
        "MONICA_RAY_TOKEN_FILE", None, path, "A file that holds the token of the replicas, which its clients send."
    )
    device: str = setting(
        "MONICA_DEVICE",
        "auto",
        one_of("auto", "cuda", "mps", "cpu"),
        "`cuda`, `mps` or `cpu`; `auto` tries them in that order. "
        "A GPU whose driver is too old for this PyTorch is an error: the CPU does not take over.",
    )
    precision: str = setting(
        "MONICA_PRECISION",
        "auto",
        one_of("auto", "fp32", "bf16", "int8"),
        "What T3 computes in: `fp32`, `bf16` or `int8` (CPU only). `auto`: bf16 on CUDA, else fp32.",
    )
    model_dir: Path | None = setting(
        "MONICA_MODEL_DIR", None, path, "A folder that holds the checkpoint. If set, nothing is downloaded."
    )
    model_revision: str = setting("MONICA_MODEL_REVISION", "main", text, "The revision of the checkpoint on the hub.")
    t3: str = setting("MONICA_T3", "v3", one_of("v2", "v3"), "The version of T3: `v2` or `v3`.")
    s3gen: str = setting(
        "MONICA_S3GEN",
        "standard",
        one_of("standard", "meanflow"),
        "The decoder of speech tokens: `standard`, or `meanflow`, which is distilled from it and faster.",
    )
    piper_voice: str = setting(
        "MONICA_PIPER_VOICE",
        "fr_FR-siwis-medium",
        text,
        "The voice of Piper: one that `monica prefetch` downloads, or a folder with its `.onnx` and `.onnx.json`.",
    )
    language: str = setting("MONICA_LANGUAGE", "fr", one_of(*LANGUAGES), "The language spoken: a two-letter code.")
    lexicon: Path | None = setting(
        "MONICA_LEXICON", None, path, "A TOML file that says how the venue's names and words are pronounced."
    )
    cache_dir: Path = setting(
        "MONICA_CACHE_DIR", user_cache_path("monica"), path, "The folder that takes and voices are kept in."
    )
    cache_mb: int = setting(
        "MONICA_CACHE_MB",
        2048,
        integer(1, 1_000_000),
        "Megabytes of takes to keep; the least recently used are removed first.",
    )
    shared_store: str | None = setting(
        "MONICA_SHARED_STORE",
        None,
        text,
        "The Valkey or Redis in which nodes share their takes: `redis://store:6379`, or `rediss://` for TLS.",
        secret=True,
    )
    shared_store_password_file: Path | None = setting(
        "MONICA_SHARED_STORE_PASSWORD_FILE", None, path, "A file that holds the password of MONICA_SHARED_STORE."
    )
    shared_store_prefix: str = setting(
        "MONICA_SHARED_STORE_PREFIX",
        "monica",
        text,
        "What the names of everything in MONICA_SHARED_STORE begin with. Nodes with the same one share their takes.",
    )
    voices_dir: Path | None = setting(
        "MONICA_VOICES_DIR",
        None,
        path,
        "A folder of recordings. Each is a voice, called by its file's name in lower case.",
    )
    voice_uploads: bool = setting(
        "MONICA_VOICE_UPLOADS",
        False,
        switch("off", "on"),
        "`on`: clients that send MONICA_API_KEY can add and remove voices over HTTP.",
    )
    voice_aliases: tuple[tuple[str, str], ...] = setting(
        "MONICA_VOICE_ALIASES",
        (),
        pairs,
        "Other names that voices are asked for by: `alloy=marie,nova=monica`. For clients with fixed names of voices.",
    )
    loudness: float | None = setting(
        "MONICA_LOUDNESS",
        -16.0,
        level("LUFS", -40, -6),
        "The loudness of every take, in LUFS (ITU-R BS.1770). `off` leaves it as the engine made it.",
    )
    peak: float | None = setting(
        "MONICA_PEAK", -1.0, level("dBTP", -20, 0), "The true peak that no take exceeds, in dBTP, or `off`."
    )
    trim: bool = setting(
        "MONICA_TRIM", True, switch("on", "off"), "Whether silence is cut off both ends of a take: `on` or `off`."
    )
    listen: str = setting(
        "MONICA_LISTEN", "books", one_of("books", "off"), "`books`: phrases of books are listened to if they can be."
    )
    listen_model: str | None = setting(
        "MONICA_LISTEN_MODEL", None, text, "The recogniser: `base`, `small`, `large-v3-turbo`, or a folder with one."
    )
    chimes_dir: Path | None = setting(
        "MONICA_CHIMES_DIR",
        None,
        path,
        "A folder of recordings. Each is a chime, called by its file's name, beside those that Monica makes.",
    )
    duck_db: float = setting(
        "MONICA_DUCK_DB",
        -12.0,
        number(-60, 0),
        "How far a mixer turns the music down for an announcement, in decibels.",
    )
    duck_ramp_ms: int = setting(
        "MONICA_DUCK_RAMP_MS", 300, integer(0, 10_000), "How long the music takes to go down, and up again."
    )
    webhook_url: str | None = setting(
        "MONICA_WEBHOOK_URL", None, url, "An address that every event of the antenna is posted to."
    )
    webhook_secret: bytes | None = setting(
        "MONICA_WEBHOOK_SECRET",
        None,
        webhook_secret,
        "What those posts are signed with, as Standard Webhooks has it: `whsec_` and 24 to 64 bytes in base64.",
        secret=True,
    )
    queue_size: int = setting(
        "MONICA_QUEUE_SIZE",
        64,
        integer(1, 10_000),
        "Takes that may wait for the engine. Beyond it, requests get 503 `overloaded`, background ones first.",
    )
    deadline_s: float = setting(
        "MONICA_DEADLINE_S", 30.0, number(0.1, 3600), "Seconds a request may take. Beyond it, the answer is 504."
    )
    fallback: str | None = setting(
        "MONICA_FALLBACK",
        None,
        _stand_in,
        f"The voice that answers a live request if the engine fails on it or would answer too late: {_STAND_INS}.",
    )
    threads: int = setting(
        "MONICA_THREADS",
        32,
        integer(2, 512),
        "HTTP threads, in addition to MONICA_QUEUE_SIZE threads for requests that wait.",
    )
    api_key: str | None = setting(
        "MONICA_API_KEY", None, text, "The key that every `POST`, `PUT` and `DELETE` needs.", secret=True
    )
    api_key_file: Path | None = setting("MONICA_API_KEY_FILE", None, path, "A file that holds the key instead.")
    api_key_scope: str = setting(
        "MONICA_API_KEY_SCOPE",
        "posts",
        one_of("posts", "all"),
        "`all`: every path needs the key, except `/health/live` and, from this machine, `/health`.",
    )
    get_speech: bool = setting(
        "MONICA_GET_SPEECH",
        False,
        switch("off", "on"),
        "`on`: `GET /blabla?text=...` and `GET /v1/audio/speech?input=...` speak too, for media players.",
    )
    proxy_prefix: bool = setting(
        "MONICA_PROXY_PREFIX",
        False,
        switch("off", "on"),
        "`on`: links begin with the `X-Forwarded-Prefix` of a proxy that serves Monica under a path.",
    )
    cors_origins: tuple[str, ...] = setting(
        "MONICA_CORS_ORIGINS",
        (),
        origins,
        "The origins of the web pages that may use the API from a browser, separated by commas; `*` for any.",
    )

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment. Raises ConfigError with one line that names the variable and its value."""
        variables = [f.metadata["name"] for f in fields(cls)]
        unknown = [name for name in os.environ if name.startswith(PREFIX) and name not in variables]
        links = find_links(unknown)
        for name in unknown:
            if name not in links:
                bare = name.removeprefix(PREFIX)
                nearest = bare if bare in variables else difflib.get_close_matches(name, variables, n=1, cutoff=0)[0]
                raise ConfigError(f"{name} is not a setting of Monica. Did you mean {nearest}?")
        if links:
            logger.debug("ignored, because Kubernetes or Docker set them for links: %s", ", ".join(links))
        values = {f.name: read_setting(f) for f in fields(cls)}
        key = values["api_key"] = read_key(values["api_key"], values["api_key_file"])
        if key is None and values["api_key_scope"] == "all":
            raise ConfigError("MONICA_API_KEY_SCOPE='all' closes nothing without a key: set MONICA_API_KEY too.")
        if values["webhook_secret"] is not None and values["webhook_url"] is None:
            raise ConfigError("MONICA_WEBHOOK_SECRET signs nothing without MONICA_WEBHOOK_URL.")
        return cls(**values)
