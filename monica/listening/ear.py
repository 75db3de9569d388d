"""Hears a take and compares it with its text. Only the listener's own process imports this."""

from __future__ import annotations

import io
import re
from pathlib import Path

from faster_whisper.audio import decode_audio

from monica.audio.silence import find_speech
from monica.config import Settings
from monica.errors import InvalidText
from monica.listening.captions import split_captions, time_captions
from monica.listening.comparison import compare
from monica.listening.heard import Heard
from monica.listening.whisper import RATE, Whisper
from monica.listening.words import Word, split_words
from monica.text.frontend import TextFrontend

NO_ENGINE = "none"
"""The engine that texts are prepared for. The registry lacks it, so it gets letters; recognisers write no phonemes."""
_PHONEMES = re.compile(r"⟦[^⟦⟧]*⟧")


class Ear:
    """A recogniser, and the text preparation that both texts go through."""

    def __init__(self, folder: Path, language: str, threads: int, lexicon: str | None) -> None:
        """Load the model in a folder. lexicon: the path of the venue's. Raises whatever is wrong with either."""
        self._language = language
        self._frontend = TextFrontend(
            Settings(language=language, lexicon=Path(lexicon) if lexicon else None, max_text_length=5000)
        )
        self._whisper = Whisper(folder, language, threads)

    def hear(self, wav: bytes, text: str) -> Heard:
        """Hear the sound of a text. Raises ValueError if it is too long to be heard at once, InvalidText."""
        expected = self._frontend.prepare(text, NO_ENGINE).text
        sound = decode_audio(io.BytesIO(wav), sampling_rate=RATE)
        first, end = find_speech(sound, RATE)
        samples = sound[first:end]
        captions = split_captions(_PHONEMES.sub("", expected))
        transcript = self._whisper.transcribe(samples, captions)
        said = self._words(expected)
        return Heard(
            expected,
            transcript.free,
            transcript.told,
            None if transcript.free is None else compare(said, self._heard_words(transcript.free)),
            compare(said, self._heard_words(transcript.told)),
            tuple(word.later(first / RATE) for word in time_captions(captions, transcript.bounds_s, samples, RATE)),
        )

    def _heard_words(self, text: str) -> tuple[Word, ...]:
        try:
            return self._words(self._frontend.prepare(text[:5000], NO_ENGINE).text)
        except InvalidText:  # it heard nothing that is a word
            return ()

    def _words(self, text: str) -> tuple[Word, ...]:
        return split_words(text, self._language, self._frontend.lexicon_words)
