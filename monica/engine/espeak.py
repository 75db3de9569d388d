"""The embedded engine: espeak-ng in process, no GPU, no download. Imports no torch, so its process stays small.

Source: espeak-ng's speak_lib.h; the library and its data come in the espeakng-loader wheel.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.errors import ConfigError, InvalidText, SynthesisFailed

_OUTPUT_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come to the callback, espeak_Synth returns when done
_INITIALIZE_DONT_EXIT = 0x8000  # or the library ends the whole process where its data is missing
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_BUFFER_MS = 100
_VOICES = {"no": "nb", "zh": "cmn"}  # where Monica's code is not espeak-ng's voice name

# int callback(short *wav, int numsamples, espeak_EVENT *events); 1 ends the synthesis
_SynthCallback = CFUNCTYPE(c_int, POINTER(c_short), c_int, c_void_p)


class EspeakEngine:
    """espeak-ng at its native rate.

    The library keeps its state in globals, so there is one of it a process and a lock around every call.
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
        self._under_way: dict[Utterance, str] = {}
        self._paused: dict[Utterance, str] = {}
        self._chunks: list[NDArray[np.int16]] = []
        self._error: BaseException | None = None
        self._callback = _SynthCallback(self._receive)  # kept: the library holds only a pointer to it

    @property
    def model(self) -> str:
        return f"espeak-ng {self._version}"

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    @property
    def fingerprint(self) -> str:
        return f"espeak {self._version} {self._language}"

    def load(self) -> None:
        with self._lock:
            library = self._initialize()
            voice = _VOICES.get(self._language, self._language)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ConfigError(f"MONICA_LANGUAGE={self._language}: espeak-ng has no such voice.")

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Take up a text.

        espeak-ng has one voice and no sampling: voice, params and seed change nothing. Two takes of a text differ
        by a few samples all the same: it carries the phase of its oscillators from one to the next.
        stream: changes nothing either, for a sentence is there, whole, before its first piece could be on its way.
        """
        utterance = Utterance()
        self._under_way[utterance] = text
        return utterance

    def step(self) -> None:
        """Say the first of the texts, whole: it takes milliseconds."""
        for utterance, text in self._under_way.items():
            del self._under_way[utterance]
            try:
                utterance.samples = self._say(text)
            except (SynthesisFailed, InvalidText) as error:
                utterance.error = error
            return

    def pause(self, utterance: Utterance) -> None:
        self._paused[utterance] = self._under_way.pop(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self._under_way[utterance] = self._paused.pop(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        self._under_way.pop(utterance, None)
        self._paused.pop(utterance, None)

    def _say(self, text: str) -> NDArray[np.float32]:
        with self._lock, metrics.stage_duration.labels("espeak").time():
            library = self._initialize()
            self._chunks, self._error = [], None
            library.espeak_SetSynthCallback(self._callback)
            encoded = text.encode()
            status = library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
            if self._error is not None:
                raise SynthesisFailed("espeak-ng's samples could not be read.") from self._error
            if status != 0:
                raise SynthesisFailed(f"espeak-ng failed with status {status}.")
            samples = np.concatenate(self._chunks) if self._chunks else np.empty(0, np.int16)
        if not samples.any():
            raise InvalidText("The text has nothing to say that espeak-ng knows how to say.", param="text")
        return samples.astype(np.float32) / 32768.0

    def _receive(self, wav: Any, count: int, _events: object) -> int:
        # An exception cannot cross the C frames: it is kept, espeak-ng is told to stop, and it is raised after.
        try:
            if wav and count:
                self._chunks.append(np.ctypeslib.as_array(wav, (count,)).copy())
        except BaseException as error:
            self._error = error
            return 1
        return 0

    @classmethod
    def _initialize(cls) -> ctypes.CDLL:
        if cls._library is None:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
            library.espeak_SetVoiceByName.argtypes = [c_char_p]
            library.espeak_SetSynthCallback.argtypes = [_SynthCallback]
            library.espeak_Synth.argtypes = [
                c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p,
            ]  # fmt: skip
            data = espeakng_loader.get_data_path().encode()
            rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, _INITIALIZE_DONT_EXIT)
            if rate <= 0:
                raise ConfigError("espeak-ng cannot start: its data is missing. Install espeakng-loader again.")
            library.espeak_Info.restype = c_char_p
            cls._version = library.espeak_Info(None).decode()
            cls._sample_rate, cls._library = rate, library
        return cls._library
