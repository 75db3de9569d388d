"""The languages of the checkpoint that this installation can prepare text for; none is quietly done worse."""

from __future__ import annotations

from importlib.util import find_spec

from monica.errors import ConfigError

PREPARED_BY = {"ja": "pykakasi", "he": "dicta_onnx", "ru": "russian_text_stresser"}
"""Upstream's tokenizer passes these languages on unprepared where the package is missing."""


def check_language(language: str) -> None:
    """Raise ConfigError where text in `language` cannot be prepared as the model was taught."""
    if language == "zh":
        raise ConfigError(
            "MONICA_LANGUAGE='zh': Chinese needs a Cangjie table and a segmenter that Monica does not carry."
        )
    package = PREPARED_BY.get(language)
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"MONICA_LANGUAGE={language!r} needs the package {package}, which Monica does not carry: "
            "without it the text would be mispronounced."
        )
