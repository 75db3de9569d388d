"""The library espeak-ng in this process: its voices, and the phonemes it reads a text as.

Source: espeak-ng's speak_lib.h; the library and its data come in the espeakng-loader wheel.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p

import espeakng_loader

from monica.errors import ConfigError

CHARS_UTF8 = 1
READ_PHONEMES = 0x100  # espeakPHONEMES: [[...]] in a text holds phoneme mnemonics
POSITION_CHARACTER = 1
_OUTPUT_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the callback gets the samples, espeak_Synth returns when done
_INITIALIZE_DONT_EXIT = 0x8000  # without it, the library exits the whole process if its data is missing
_BUFFER_MS = 100
_AS_IPA = 2  # espeakPHONEMES_IPA
_VOICES = {"no": "nb", "zh": "cmn"}  # language codes that are not the names of espeak-ng's voices

# int callback(short *wav, int numsamples, espeak_EVENT *events); returning 1 ends the synthesis
SynthCallback = CFUNCTYPE(c_int, POINTER(c_short), c_int, c_void_p)
_dlclose = ctypes.CDLL(None).dlclose
_dlclose.argtypes = [c_void_p]


class EspeakLibrary:
    """The library keeps its state in globals, so a process has one of it. Whoever uses it holds `lock` meanwhile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sample_rate = 0
        self.version = ""
        self._library: ctypes.CDLL | None = None

    def load(self) -> ctypes.CDLL:
        """Load the library, unless it is. Raises ConfigError."""
        if self._library is None:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
            library.espeak_SetVoiceByName.argtypes = [c_char_p]
            library.espeak_SetParameter.argtypes = [c_int, c_int, c_int]
            library.espeak_SetSynthCallback.argtypes = [SynthCallback]
            library.espeak_Synth.argtypes = [
                c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p,
            ]  # fmt: skip
            library.espeak_TextToPhonemes.argtypes = [POINTER(c_void_p), c_int, c_int]
            library.espeak_TextToPhonemes.restype = c_char_p
            library.espeak_Info.restype = c_char_p
            data = espeakng_loader.get_data_path().encode()
            rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, _INITIALIZE_DONT_EXIT)
            if rate <= 0:
                raise ConfigError("espeak-ng cannot start: its data is missing. Install espeakng-loader again.")
            self.version = library.espeak_Info(None).decode()
            self.sample_rate, self._library = rate, library
        return self._library

    def unload(self) -> None:
        """Unload the library, if it is loaded.

        Its oscillators keep their phase from one text to the next, in variables that neither a new voice nor
        espeak_Terminate resets. Loaded again, which takes two milliseconds, it says equal texts with equal samples.
        """
        if self._library is not None:
            self._library.espeak_Terminate()
            close, self._library = self._library._handle, None
            _dlclose(close)

    def set_voice(self, language: str, variant: str = "") -> None:
        """Choose the voice of a language, `fr` or `en-us`, and its variant. Raises LookupError if there is none."""
        name = f"{_VOICES.get(language, language)}{variant and '+'}{variant}"
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
            library.espeak_Synth(b" ", 2, 0, POSITION_CHARACTER, 0, CHARS_UTF8 | READ_PHONEMES, None, None)
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
