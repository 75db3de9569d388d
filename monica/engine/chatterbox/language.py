"""Which of the checkpoint's languages this installation can prepare text for. None is silently done worse."""

from __future__ import annotations

from importlib.util import find_spec

from monica.errors import ConfigError

PREPARED_BY = {"ja": "pykakasi", "he": "dicta_onnx", "ru": "russian_text_stresser"}
"""The package that prepares text in a language. Without it upstream's tokenizer passes the text on unprepared."""


def check_language(language: str) -> None:
    """Raise ConfigError if text in `language` cannot be prepared as it was for training."""
    if language == "zh":
        raise ConfigError(
            "MONICA_LANGUAGE='zh': Chinese needs a Cangjie table and a segmenter that Monica does not include."
        )
    package = PREPARED_BY.get(language)
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"MONICA_LANGUAGE={language!r} needs the package {package}, which Monica does not include: "
            "without it the text would be mispronounced."
        )
