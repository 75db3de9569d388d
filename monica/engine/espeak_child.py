"""espeak-ng's part of its process (monica/engine/speaking_child.py), and how the library is opened anywhere.

Source: espeak-ng's speak_lib.h. It imports nothing of Monica.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from typing import Any

CPU_SECONDS = 10
"""The longest text that Monica accepts takes half a second."""
CHARS_UTF8 = 1
READ_PHONEMES = 0x100  # espeakPHONEMES: [[...]] in a text holds phoneme mnemonics
POSITION_CHARACTER = 1
_OUTPUT_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the callback gets the samples, espeak_Synth returns when done
_INITIALIZE_DONT_EXIT = 0x8000  # without it, the library exits the whole process if its data is missing
_BUFFER_MS = 100
_RATE = 1  # espeakRATE: words per minute

# int callback(short *wav, int numsamples, espeak_EVENT *events); returning 1 ends the synthesis
SynthCallback = CFUNCTYPE(c_int, POINTER(c_short), c_int, c_void_p)


def open_library(path: str, data: str) -> tuple[ctypes.CDLL, int]:
    """Return the library, ready to speak, and its sample rate. Raises OSError if a file of it is missing."""
    library = ctypes.CDLL(path)
    library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
    library.espeak_SetVoiceByName.argtypes = [c_char_p]
    library.espeak_SetParameter.argtypes = [c_int, c_int, c_int]
    library.espeak_SetSynthCallback.argtypes = [SynthCallback]
    library.espeak_Synth.argtypes = [c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p]
    library.espeak_TextToPhonemes.argtypes = [POINTER(c_void_p), c_int, c_int]
    library.espeak_TextToPhonemes.restype = c_char_p
    library.espeak_Info.restype = c_char_p
    rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data.encode(), _INITIALIZE_DONT_EXIT)
    if rate <= 0:
        raise FileNotFoundError("its data is missing")
    return library, rate


def synthesize(library: ctypes.CDLL, text: str) -> None:
    """Speak to the library's callback. text: may hold phonemes in [[...]]. Raises RuntimeError."""
    encoded = text.encode()
    flags = CHARS_UTF8 | READ_PHONEMES
    status = library.espeak_Synth(encoded, len(encoded) + 1, 0, POSITION_CHARACTER, 0, flags, None, None)
    if status != 0:
        raise RuntimeError(f"status {status}")


class Speaker:
    """The library with a voice and a pace."""

    def __init__(self, path: str, data: str, voice: str, pace: int) -> None:
        """pace: words per minute. Raises LookupError if there is no such voice, and what open_library raises."""
        self._library, self._sample_rate = open_library(path, data)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise LookupError(f"it has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, pace, 0)
        self._chunks: list[bytes] = []
        self._error: BaseException | None = None
        self._callback = SynthCallback(self._receive)  # referenced here: the library holds only a pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str) -> bytes:
        """Return the sound of a text. For none, tell of the library: `22050 1.52.0`."""
        if not text:
            return f"{self._sample_rate} {self._library.espeak_Info(None).decode()}".encode()
        synthesize(self._library, text)
        if self._error is not None:
            raise self._error
        return b"".join(self._chunks)

    def _receive(self, wav: Any, count: int, _events: object) -> int:
        # An exception cannot cross C frames. It is stored, espeak-ng is told to stop, and `say` raises it afterwards.
        try:
            if wav and count:
                self._chunks.append(ctypes.string_at(wav, 2 * count))
        except BaseException as error:
            self._error = error
            return 1
        return 0


def prepare(path: str, data: str, voice: str, pace: str) -> Callable[[str], bytes]:
    """Open the library. Returns what says one text, in a process forked for it."""
    return Speaker(path, data, voice, int(pace)).say
