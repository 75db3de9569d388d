"""Text to the text tokens of T3: upstream's tokenizer, without the table it would fetch from the hub."""

from __future__ import annotations

from pathlib import Path

import torch
from chatterbox.models.tokenizers import MTLTokenizer
from chatterbox.mtl_tts import punc_norm
from tokenizers import Tokenizer
from torch import Tensor

from monica.errors import ConfigError, InvalidText, ModelUnavailable

START, STOP = 255, 0
MAX_TEXT_TOKENS = 2048
"""Number of text tokens that T3 has positions for, besides start and stop."""


class TextTokenizer(MTLTokenizer):  # type: ignore[misc]  # upstream is untyped
    """Upstream's multilingual tokenizer for one language."""

    def __init__(self, path: Path, language: str) -> None:
        # Not upstream's constructor: it asks the hub for a Chinese table, whatever the language.
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
            self.check_vocabset_sot_eot()
        except Exception as error:  # a guard: tokenizers raises bare Exception, upstream asserts
            raise ModelUnavailable(f"{path.name} cannot be read: it is damaged or incomplete.") from error
        self.language = language
        if self.tokenizer.token_to_id(f"[{language}]") is None:
            raise ConfigError(f"MONICA_LANGUAGE={language!r}: this checkpoint does not speak it.")

    def tokenize(self, text: str) -> Tensor:
        """Encode one sentence, with its punctuation normalized as upstream does it.

        Returns (S,) int64, start and stop token included. Raises InvalidText if there is nothing to say, or too much.
        """
        if not text.strip():
            raise InvalidText("There is nothing to say in the text.", param="text")
        ids = self.encode(punc_norm(text), language_id=self.language)
        if len(ids) > MAX_TEXT_TOKENS:
            raise InvalidText(
                f"The text makes {len(ids)} tokens, at most {MAX_TEXT_TOKENS}.", code="text_too_long", param="text"
            )
        return torch.tensor([START, *ids, STOP])
