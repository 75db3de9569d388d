"""The pauses that a sender asks for: how they are written, how long they last, what they are kept under."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from monica.config import Settings
from monica.errors import DeadlineExceeded, InvalidText
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.fallback import Fallback
from monica.text.frontend import PAUSE_S, TextFrontend
from monica.text.markup import MAX_PAUSE_S, MAX_PAUSES_S, split_at_pauses
from monica.warming.job import JobSource
from tests.conftest import Call, started
from tests.support.engines import ToyEngine
from tests.support.takes import new_warmer
from tests.support.wire import until

RATE = 8000  # the toy's, which makes 480 samples for each character
WHOLE = "Bonjour [pause:0.5s] à tous"


@pytest.fixture
def frontend(settings: Settings) -> TextFrontend:
    return TextFrontend(settings)


def samples_of(wav: bytes) -> NDArray[np.int16]:
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    assert rate == RATE
    return np.asarray(samples, np.int16)


@pytest.mark.parametrize(
    ("text", "sentences", "pauses_s"),
    [
        ("Bonjour à tous", ["Bonjour à tous"], [0, 0]),
        ("Bonjour [pause:0.5s] à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour[pause:0.5s]à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ('Bonjour <break time="500ms"/> à tous', ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour <break time='.5s' /> à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour <BREAK TIME=500ms> à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour &lt;break time=&quot;500ms&quot;/&gt; à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour [pause:500ms] à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour [Pause : 0,5 s] à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ("Bonjour [pause:2] à tous", ["Bonjour", "à tous"], [0, 2, 0]),
        ("Bonjour <break/> à tous", ["Bonjour", "à tous"], [0, 0.5, 0]),
        ('Bonjour <break strength="strong"/> à tous', ["Bonjour", "à tous"], [0, 1, 0]),
        ("[pause:1s] Bonjour", ["Bonjour"], [1, 0]),
        ("Bonjour. [pause:1s]", ["Bonjour."], [0, 1]),
        ("[pause:1s] Bonjour [pause:2s]", ["Bonjour"], [1, 2]),
        ("Bonjour [pause:1s] [pause:2s] à tous", ["Bonjour", "à tous"], [0, 3, 0]),
        ("Bonjour [pause:1s] ... [pause:2s] à tous", ["Bonjour", "à tous"], [0, 3, 0]),
        # cut to what is allowed
        ("Bonjour [pause:9999s] à tous", ["Bonjour", "à tous"], [0, MAX_PAUSE_S, 0]),
        ("Bonjour [pause:8s][pause:8s] à tous", ["Bonjour", "à tous"], [0, MAX_PAUSE_S, 0]),
        # not understood: dropped, and never read
        ("Bonjour [pause:x] à tous", ["Bonjour à tous"], [0, 0]),
        ("Bonjour [pause:-1s] à tous", ["Bonjour à tous"], [0, 0]),
        ("Bonjour [pause:0s] à tous", ["Bonjour à tous"], [0, 0]),
        ("Bonjour [pause:1h] à tous", ["Bonjour à tous"], [0, 0]),
        ('Bonjour <break time="vite"/> à tous', ["Bonjour à tous"], [0, 0]),
        ('Bonjour <break strength="none"/> à tous', ["Bonjour à tous"], [0, 0]),
        ('Bonjour <break time="1s" à tous', ["Bonjour à tous"], [0, 0]),
        # nested and unclosed
        ("Bonjour [pause:[pause:1s]] à tous", ["Bonjour", "à tous"], [0, 1, 0]),
        ("Bonjour [pause:1s à tous", ["Bonjour", "à tous"], [0, 1, 0]),
        ("<think>Une pause ? [pause:3s]</think>Bonjour", ["Bonjour"], [0, 0]),
        # words in brackets
        ("[Pause : 15 min] Reprise", ["Pause: quinze minutes, Reprise"], [0, 0]),
        ("[Pause] Reprise", ["Pause, Reprise"], [0, 0]),
    ],
)
def test_pauses_are_measured(frontend: TextFrontend, text: str, sentences: list[str], pauses_s: list[float]) -> None:
    prepared = frontend.prepare(text)
    assert list(prepared.sentences) == sentences
    assert list(prepared.pauses_s) == pauses_s
    assert prepared.text == " ".join(sentences)
    assert "markup" in prepared.rules or not any(pauses_s)


def test_pauses_of_one_text_are_bounded_together(frontend: TextFrontend) -> None:
    prepared = frontend.prepare("Un [pause:9s] " * 30)
    assert sum(prepared.pauses_s) == MAX_PAUSES_S
    assert " ".join(prepared.sentences) == " ".join(["Un"] * 30)


@pytest.mark.parametrize(
    "text", ["[pause:1s]", "<break/>", "[pause:1s] ... <break/>", "<think>Bonjour</think>", "<b></b>"]
)
def test_text_without_words_has_nothing_to_say(frontend: TextFrontend, text: str) -> None:
    with pytest.raises(InvalidText) as error:
        frontend.prepare(text)
    assert error.value.code == "text_empty"


def test_other_languages_have_pauses_too(settings: Settings) -> None:
    prepared = TextFrontend(replace(settings, language="en")).prepare("Hello [pause:1s] <b>all</b> of you")
    assert (prepared.sentences, prepared.pauses_s) == (("Hello", "all of you"), (0, 1, 0))


def test_parts_of_a_page_keep_their_usual_pauses(settings: Settings) -> None:
    frontend = TextFrontend(replace(settings, max_text_length=5000))
    page = " ".join(f"La phrase numéro {n} de la page est assez longue pour être dite toute seule." for n in range(6))
    prepared = frontend.prepare(f"Bonjour. [pause:2s] {page}")
    assert prepared.pauses_s == (0, 2, *[PAUSE_S] * 5, 0)
    assert prepared.said == f"Bonjour. [pause:2s] {' '.join(prepared.sentences[1:])}"


def test_a_pause_is_silence_of_that_length(service: Service, toy: ToyEngine) -> None:
    announcement = service.announcer.announce(SpeechRequest(f"[pause:1s] {WHOLE} [pause:250ms]"))
    assert toy.spoken == ["Bonjour", "à tous"]
    samples = samples_of(announcement.wav)
    one, two = 480 * len("Bonjour"), 480 * len("à tous")
    assert len(samples) == RATE + one + RATE // 2 + two + RATE // 4
    assert announcement.duration_s == pytest.approx(len(samples) / RATE)
    assert not samples[:RATE].any()
    assert not samples[RATE + one : RATE + one + RATE // 2].any()
    assert not samples[-RATE // 4 :].any()
    assert samples[RATE : RATE + one].any()
    assert samples[RATE + one + RATE // 2 : -RATE // 4].any()


def test_streamed_it_is_what_it_is_whole(service: Service) -> None:
    request = SpeechRequest(f"[pause:1s] {WHOLE} [pause:250ms]")
    stream = service.announcer.stream(request)
    streamed = b"".join(stream.chunks)
    assert stream.source == "miss"
    whole = service.announcer.announce(request)
    assert whole.source == "hit"
    assert streamed == samples_of(whole.wav).tobytes()


def test_a_pause_before_the_first_word_hides_no_error(settings: Settings, toy: ToyEngine) -> None:
    """Were the silence sent first, the client would hear a second of nothing and then a broken stream."""
    service = started(replace(settings, deadline_s=0.2), toy)
    toy.gate.clear()
    with pytest.raises(DeadlineExceeded):
        service.announcer.stream(SpeechRequest("[pause:1s] Bonjour"))
    toy.gate.set()


def test_each_length_has_a_key_of_its_own_and_the_takes_are_shared(service: Service, toy: ToyEngine) -> None:
    announcer = service.announcer
    assert announcer.announce(SpeechRequest(WHOLE)).source == "miss"
    assert announcer.announce(SpeechRequest('Bonjour <break time="500ms"/>  à tous')).source == "hit"
    assert announcer.announce(SpeechRequest("Bonjour")).source == "hit"
    other = announcer.announce(SpeechRequest("Bonjour [pause:1s] à tous"))
    assert toy.spoken == ["Bonjour", "à tous"]
    keys = {announcer.key_of(SpeechRequest(text)) for text in (WHOLE, "Bonjour à tous", "Bonjour [pause:1s] à tous")}
    assert len(keys) == 3
    assert other.key in keys
    assert announcer.key_of(SpeechRequest("Bonjour à tous [pause:x]")) == announcer.key_of(
        SpeechRequest("Bonjour à tous")
    )


def test_one_take_with_a_pause_after_it_is_not_kept_as_the_take(service: Service, toy: ToyEngine) -> None:
    plain = service.announcer.announce(SpeechRequest("Bonjour"))
    paused = service.announcer.announce(SpeechRequest("Bonjour [pause:1s]"))
    assert toy.spoken == ["Bonjour"]
    assert len(samples_of(paused.wav)) == len(samples_of(plain.wav)) + RATE
    assert plain.key != paused.key
    assert service.announcer.announce(SpeechRequest("Bonjour [pause:1s]")).source == "hit"
    assert service.announcer.announce(SpeechRequest("Bonjour")).wav == plain.wav


def test_the_embedded_voice_makes_the_same_pauses(settings: Settings) -> None:
    fallback = Fallback("espeak", settings)
    bare = fallback.speak_sentences(["Bonjour", "à tous"], [0, 0, 0])
    paused = fallback.speak_sentences(["Bonjour", "à tous"], [1, 0.5, 0.25])
    rate = soundfile.info(io.BytesIO(bare)).samplerate
    lengths = [soundfile.info(io.BytesIO(wav)).frames for wav in (bare, paused)]
    assert lengths[1] - lengths[0] == pytest.approx(1.75 * rate, abs=100)  # espeak-ng's length varies by a few samples


def test_a_phrase_book_may_have_pauses(service: Service, toy: ToyEngine) -> None:
    warmer = new_warmer(service)
    warmer.start()
    job = warmer.submit(JobSource("une liste", phrases=(WHOLE,)))
    until(lambda: job.state.ended, 60)
    warmer.close()
    spoken = list(toy.spoken)
    assert service.announcer.announce(SpeechRequest(WHOLE)).source == "hit"
    assert toy.spoken == spoken


def test_v1_text_shows_the_pauses(call: Call) -> None:
    answer = call("POST", "/v1/text", json={"text": WHOLE})
    assert answer.json == {
        "text": "Bonjour à tous",
        "sentences": ["Bonjour", "à tous"],
        "pauses_s": [0.0, 0.5, 0.0],
        "rules": ["markup"],
    }


def test_one_endless_pause_leaves_time_for_the_others() -> None:
    text = 'a [pause:9999s] b <break time="99999ms"/> c [pause:7] [pause:8s] d'
    assert split_at_pauses(text) == [("a", 10.0), ("b", 10.0), ("c", 7.0), ("", 8.0), ("d", 0.0)]
