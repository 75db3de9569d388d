"""The usual text-to-speech server: the engine behind a lock, in the thread of the request.

A WSGI application for `benchmarks.load`: the same engine, loaded as Monica loads it, the same text rules, a WAV, and a
dictionary of earlier answers.
"""

from __future__ import annotations

import logging
import secrets
import threading

from flask import Flask, Response, request

from monica.audio.wav import encode_wav
from monica.config import Settings
from monica.engine import MAX_SEED, SynthesisParams, speak
from monica.store.cache import Store
from monica.synthesis.loader import Loader
from monica.text import Normaliser
from monica.voices.recording import DEFAULT_VOICE
from monica.voices.registry import VoiceRegistry

logging.basicConfig(level=logging.INFO)

settings = Settings.from_env()
loader = Loader(settings, VoiceRegistry(settings, Store("conditionals", settings.cache_dir)))
loader.load_once()
engine, voice = loader.ready_engine(), loader.voices[DEFAULT_VOICE]
normaliser = Normaliser(language=settings.language)
lock = threading.Lock()
kept: dict[str, bytes] = {}
app = Flask(__name__)


@app.post("/blabla")
def blabla() -> Response:
    text = request.get_json()["text"]
    wav = kept.get(text)
    if wav is None:
        said = normaliser.normalise(text).text
        seed = secrets.randbelow(MAX_SEED + 1)
        with lock:
            samples = speak(engine, said, voice=voice, params=SynthesisParams(), seed=seed)
        wav = kept[text] = encode_wav(samples, engine.sample_rate)
    return Response(wav, mimetype="audio/wav")


@app.get("/health")
def health() -> str:
    return ""
