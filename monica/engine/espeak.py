"""The embedded engine: espeak-ng in this process. It needs no GPU and no download, and imports no torch.

Source: espeak-ng's speak_lib.h; the library and its data come in the espeakng-loader wheel.
"""

from __future__ import annotations

import ctypes
import re
import threading
import unicodedata
from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.config import Settings
from monica.engine import PHONEMES, SynthesisParams, Utterance, speak
from monica.engine.espeak_ipa import write_mnemonics
from monica.engine.french_ipa import ELIDED, ELIDED_IPA, check_ipa
from monica.engine.registry import EngineSpec, Finding
from monica.errors import ConfigError, InvalidText, MonicaError, SynthesisFailed

_OUTPUT_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the callback gets the samples, espeak_Synth returns when done
_INITIALIZE_DONT_EXIT = 0x8000  # without it, the library exits the whole process if its data is missing
_CHARS_UTF8 = 1
_READ_PHONEMES = 0x100  # espeakPHONEMES: [[...]] in a text holds phoneme mnemonics
_POSITION_CHARACTER = 1
_RATE = 1  # espeakRATE: words per minute
_BUFFER_MS = 100
_PACE = 140
"""Words per minute: 18 characters a second in French, as an announcer speaks. The library's own 175 are 23."""
_AS_IPA = 2  # espeakPHONEMES_IPA, a bit of the phoneme mode
_VARIANT = "m1"
"""The variant of a voice that a recogniser understood best of seven at this pace. It understands none of them well: a
third of the characters are wrong (`make bench-voices`)."""
_VOICES = {"no": "nb", "zh": "cmn"}  # language codes that are not the names of espeak-ng's voices

_DOUBLE_BRACKET = re.compile(r"\[(?=\[)")
_BEFORE_WORD = re.compile(r"⟧(?=\w)")
# Vietnamese letters, for the most part. The library spells them out: "e accent circonflexe tilde".
_MARKED_LETTER = re.compile("[\u1e00-\u1eff]")
_LOOSE_MARK = re.compile("[\u0300-\u036f]")

# int callback(short *wav, int numsamples, espeak_EVENT *events); returning 1 ends the synthesis
_SynthCallback = CFUNCTYPE(c_int, POINTER(c_short), c_int, c_void_p)
_dlclose = ctypes.CDLL(None).dlclose
_dlclose.argtypes = [c_void_p]


class EspeakEngine:
    """espeak-ng at its native sample rate.

    The library keeps its state in globals, so the process has one instance of it and locks every call.
    """

    name = "espeak"
    device = "cpu"
    clones = False
    slots = 1

    _lock = threading.Lock()
    _library: ctypes.CDLL | None = None
    _sample_rate = 0
    _version = ""

    def __init__(self, settings: Settings) -> None:
        self._language = settings.language
        self._running: dict[Utterance, str] = {}
        self._paused: dict[Utterance, str] = {}
        self._chunks: list[NDArray[np.int16]] = []
        self._error: BaseException | None = None
        self._callback = _SynthCallback(self._receive)  # referenced here: the library holds only a pointer

    @property
    def model(self) -> str:
        return f"espeak-ng {self._version}"

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    @property
    def fingerprint(self) -> str:
        return f"espeak {self._version} {self._language} {_VARIANT} {_PACE}"

    def load(self) -> None:
        with self._lock:
            self._set_voice(self._initialize())

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Start an utterance.

        espeak-ng has one voice and no sampling: voice, params and seed change nothing, and equal texts give equal
        samples.
        stream: changes nothing either. The whole sentence is ready before its first chunk could be sent.
        """
        utterance = Utterance()
        self._running[utterance] = text
        return utterance

    def step(self) -> None:
        """Speak the oldest running text from beginning to end, which takes milliseconds."""
        for utterance, text in self._running.items():
            del self._running[utterance]
            try:
                utterance.samples = self._say(text)
            except (SynthesisFailed, InvalidText) as error:
                utterance.error = error
            return

    def pause(self, utterance: Utterance) -> None:
        self._paused[utterance] = self._running.pop(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self._running[utterance] = self._paused.pop(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        self._running.pop(utterance, None)
        self._paused.pop(utterance, None)

    def _say(self, text: str) -> NDArray[np.float32]:
        with self._lock, metrics.stage_duration.labels("espeak").time():
            self._unload()
            library = self._initialize()
            self._set_voice(library)
            self._chunks, self._error = [], None
            library.espeak_SetSynthCallback(self._callback)
            encoded = write_for_espeak(text).encode()
            flags = _CHARS_UTF8 | _READ_PHONEMES
            status = library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None)
            if self._error is not None:
                raise SynthesisFailed("espeak-ng's samples could not be read.") from self._error
            if status != 0:
                raise SynthesisFailed(f"espeak-ng failed with status {status}.")
            samples = np.concatenate(self._chunks) if self._chunks else np.empty(0, np.int16)
        if not samples.any():
            raise InvalidText("The text has nothing to say that espeak-ng knows how to say.", param="text")
        return samples.astype(np.float32) / 32768.0

    def _receive(self, wav: Any, count: int, _events: object) -> int:
        # An exception cannot cross C frames. It is stored, espeak-ng is told to stop, and `_say` raises it afterwards.
        try:
            if wav and count:
                self._chunks.append(np.ctypeslib.as_array(wav, (count,)).copy())
        except BaseException as error:
            self._error = error
            return 1
        return 0

    def _set_voice(self, library: ctypes.CDLL) -> None:
        """Choose the language, the variant and the pace. Raises ConfigError."""
        voice = _VOICES.get(self._language, self._language)
        if library.espeak_SetVoiceByName(f"{voice}+{_VARIANT}".encode()) != 0:
            raise ConfigError(f"MONICA_LANGUAGE={self._language}: espeak-ng has no such voice.")
        library.espeak_SetParameter(_RATE, _PACE, 0)

    @staticmethod
    def _unload() -> None:
        """Unload the library, if it is loaded.

        Its oscillators keep their phase from one text to the next, in variables that neither a new voice nor
        espeak_Terminate resets. Loaded again, which takes two milliseconds, it says equal texts with equal samples.
        """
        process = EspeakEngine  # by name: a subclass that set attributes of its own would leave it a closed library
        if process._library is not None:
            process._library.espeak_Terminate()
            close, process._library = process._library._handle, None
            _dlclose(close)

    @staticmethod
    def _initialize() -> ctypes.CDLL:
        process = EspeakEngine
        if process._library is None:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
            library.espeak_SetVoiceByName.argtypes = [c_char_p]
            library.espeak_SetParameter.argtypes = [c_int, c_int, c_int]
            library.espeak_SetSynthCallback.argtypes = [_SynthCallback]
            library.espeak_TextToPhonemes.argtypes = [POINTER(c_char_p), c_int, c_int]
            library.espeak_TextToPhonemes.restype = c_char_p
            library.espeak_Synth.argtypes = [
                c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p,
            ]  # fmt: skip
            data = espeakng_loader.get_data_path().encode()
            rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, _INITIALIZE_DONT_EXIT)
            if rate <= 0:
                raise ConfigError("espeak-ng cannot start: its data is missing. Install espeakng-loader again.")
            library.espeak_Info.restype = c_char_p
            process._version = library.espeak_Info(None).decode()
            process._sample_rate, process._library = rate, library
        return process._library


def pronounce(word: str, language: str) -> str:
    """Return how espeak-ng would say a word: IPA with stress marks, empty for what is not said.

    Raises ConfigError if it has no such language.
    """
    with EspeakEngine._lock:
        library = EspeakEngine._initialize()
        if library.espeak_SetVoiceByName(_VOICES.get(language, language).encode()) != 0:
            raise ConfigError(f"espeak-ng has no voice for the language {language}.")
        left, clauses = c_char_p(word.encode()), []
        while left.value:  # a call reads one clause, and moves the pointer behind it
            clauses.append(library.espeak_TextToPhonemes(byref(left), _CHARS_UTF8, _AS_IPA) or b"")
        return b" ".join(clauses).decode()


def write_for_espeak(text: str) -> str:
    """Write a prepared text as the library reads it: phonemes as mnemonics, and letters it knows in place of others."""
    text = _DOUBLE_BRACKET.sub("[ ", text)
    if "⟦" in text:
        text = ELIDED.sub(lambda m: "⟦" + ELIDED_IPA.get(m[1].lower(), m[1].lower()), text)
        text = PHONEMES.sub(_write_phonemes, _BEFORE_WORD.sub("⟧ ", text))
    # After the phonemes, whose nasal vowels are letters with a loose mark.
    text = unicodedata.normalize("NFC", text)
    text = _MARKED_LETTER.sub(lambda m: unicodedata.normalize("NFD", m[0])[0], text)
    return _LOOSE_MARK.sub("", text)


def _write_phonemes(match: re.Match[str]) -> str:
    try:
        # The space is for the library, which ignores phonemes right after a bracket or a quote.
        return f" [[{write_mnemonics(match[1])}]]"
    except ValueError:  # not the text preparation's phonemes, which were checked
        return match[1]


def make_engine(settings: Settings) -> EspeakEngine:
    return EspeakEngine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Speak a word."""
    try:
        engine = make_engine(settings)
        engine.load()
        samples = speak(engine, "Bonjour.", voice="", params=SynthesisParams(), seed=0)
    except (ConfigError, MonicaError, OSError) as error:
        yield Finding("espeak", False, str(error), "Install again: make install")
    else:
        seconds = len(samples) / engine.sample_rate
        yield Finding("espeak", True, f"{engine.model} says « Bonjour » in {seconds:.2f} s")


SPEC = EngineSpec(
    name="espeak",
    title="espeak-ng",
    make=make_engine,
    examine=examine,
    work_per_sound={"cpu": 0.02},
    check_ipa=check_ipa,
)
