"""The library espeak-ng in this process, for the phonemes that it reads a text as. It speaks in a process of its own.

The library and its data come in the espeakng-loader wheel.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_void_p

import espeakng_loader

from monica.engine.espeak_child import CHARS_UTF8, SynthCallback, open_library, synthesize
from monica.errors import ConfigError

_AS_IPA = 2  # espeakPHONEMES_IPA
_VOICES = {"no": "nb", "zh": "cmn"}  # language codes that are not the names of espeak-ng's voices


def library_files() -> tuple[str, str]:
    """Return where the library is, and where its data are."""
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def voice_name(language: str, variant: str = "") -> str:
    """Return espeak-ng's name for the voice of a language, `fr` or `en-us`, and its variant."""
    return f"{_VOICES.get(language, language)}{variant and '+'}{variant}"


class EspeakLibrary:
    """The library keeps its state in globals, so a process has one of it. Whoever uses it holds `lock` meanwhile.

    It only reads here. To speak, it would have to be loaded again for each text: its oscillators keep their phase in
    variables that nothing else resets. And each time it would leave the dictionary of another language behind.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version = ""
        self._library: ctypes.CDLL | None = None

    def load(self) -> ctypes.CDLL:
        """Load the library, unless it is. Raises ConfigError."""
        if self._library is None:
            try:
                library, _ = open_library(*library_files())
            except OSError as error:
                raise ConfigError(f"espeak-ng cannot start: {error}. Install espeakng-loader again.") from error
            self.version = library.espeak_Info(None).decode()
            self._library = library
        return self._library

    def set_voice(self, language: str, variant: str = "") -> None:
        """Choose the voice of a language, `fr` or `en-us`, and its variant. Raises LookupError if there is none."""
        name = voice_name(language, variant)
        if self.load().espeak_SetVoiceByName(name.encode()) != 0:
            raise LookupError(f"espeak-ng has no voice {name}")

    def read_phonemes(self, text: str, language: str) -> str:
        """Return the phonemes that the voice of a language reads a text as, in IPA: stress, spaces between words.

        text: may hold mnemonics in [[...]]. Words of other languages are between marks such as (en) and (fr).
        Raises LookupError.
        """
        with self.lock:
            library = self.load()
            self.set_voice(language)
            # Only a synthesis tells the library whether it should read mnemonics, and it remembers that.
            library.espeak_SetSynthCallback(_ignore)
            synthesize(library, " ")
            buffer = ctypes.create_string_buffer(text.encode())
            rest = c_void_p(ctypes.addressof(buffer))
            clauses = []
            while rest.value:  # it reads a clause at a time, and sets this to NULL at the end
                clauses.append((library.espeak_TextToPhonemes(byref(rest), CHARS_UTF8, _AS_IPA) or b"").decode())
        return " ".join(" ".join(clauses).split())


_ignore = SynthCallback(lambda wav, count, events: 1)  # referenced here: the library holds only a pointer

LIBRARY = EspeakLibrary()


def pronounce(word: str, language: str) -> str:
    """Return how espeak-ng would say a word: IPA with stress marks, empty for what is not said.

    Raises ConfigError if it has no such language.
    """
    try:
        return LIBRARY.read_phonemes(word, language)
    except LookupError as error:
        raise ConfigError(f"{error}.") from error
