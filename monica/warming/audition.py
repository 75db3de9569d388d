"""A phrase is listened to after it was made; up to three takes are made, and the best is kept with its verdict."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from monica import metrics
from monica.announcer import Announcer
from monica.audio.wav import wav_pcm, wav_rate
from monica.listening.listener import Ears
from monica.listening.verdict import is_unintelligible, judge
from monica.speech import Announcement, SpeechRequest
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.hearing import Hearing, TimedWord, Verdict
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase
from monica.store.side_takes import SideTakes
from monica.synthesis.durations import DurationModels

MAX_TAKES = 3
MAX_DOUBTFUL_TAKES = 2
"""Takes of a phrase of which only a word is doubtful, or only the duration is wrong. It is the same in every take more
often than not: then it is the recogniser who errs, or the duration model."""

logger = logging.getLogger(__name__)

Announce = Callable[[SpeechRequest], Announcement]
"""How a phrase is made again. Raises as `Announcer.announce` does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a phrase that was listened to."""

    verdict: Verdict
    takes: int
    """How many were made again."""
    kept: bool
    """Whether one of them is kept. Babble is not."""


@dataclass(frozen=True, slots=True)
class _Take:
    sound: bytes
    metadata: Metadata
    hearing: Hearing
    babble: bool

    @property
    def only_its_duration(self) -> bool:
        """Whether every word was heard, and only the duration is off."""
        return self.hearing.fault is not None and not self.hearing.differences


class Audition:
    """Listens to kept phrases, and has those that are not good made again. Several threads may use it."""

    def __init__(
        self,
        ears: Ears,
        model: str,
        announcer: Announcer,
        catalogue: Catalogue,
        side_takes: SideTakes,
        durations: DurationModels,
    ) -> None:
        self._ears = ears
        self._model = model
        self._announcer = announcer
        self._catalogue = catalogue
        self._side_takes = side_takes
        self._durations = durations

    def verdict_of(self, key: str) -> Verdict | None:
        """Return the verdict on the sound that is kept under a key; None if it has not been listened to."""
        phrase = self._catalogue.get(key)
        return phrase.hearing.verdict if phrase is not None and phrase.hearing is not None else None

    def listen(self, request: SpeechRequest, key: str, announce: Announce) -> Outcome:
        """Listen to the phrase kept under a key. A page is listened to sentence by sentence.

        Raises ListeningFailed, and what `announce` raises. Then there is no verdict, and it is listened to again.
        """
        sentences = self._announcer.sentences(request.text)
        if self._announcer.said(request.text) == sentences[0]:
            return self._listen_to_take(request, key, announce)
        outcomes, keys = [], []
        for sentence in sentences:
            part = replace(request, text=sentence)
            part_key = self._announcer.key_of(part)
            if self._catalogue.get(part_key) is None:
                announce(part)
            keys.append(part_key)
            known = self.verdict_of(part_key)
            outcomes.append(
                self._listen_to_take(part, part_key, announce) if known is None else Outcome(known, 0, True)
            )
        worst = max(outcomes, key=lambda outcome: outcome.verdict.rank)
        kept = all(outcome.kept for outcome in outcomes)
        page = self._catalogue.get(key)
        if page is not None and (not kept or any(outcome.takes for outcome in outcomes)):
            self._catalogue.remove([page])
            if kept:
                announce(request)  # of the sentences that are kept now
        if kept and (page := self._catalogue.get(key)) is not None:
            self._note(page, worst.verdict, keys)
        return Outcome(worst.verdict, sum(outcome.takes for outcome in outcomes), kept)

    def _listen_to_take(self, request: SpeechRequest, key: str, announce: Announce) -> Outcome:
        takes = [self._hear(request.text, key)]
        pinned = (phrase := self._catalogue.get(key)) is not None and phrase.pinned
        while self._should_remake(takes) and request.seed is None:
            if announce(replace(request, fresh=True)).faults:
                break  # the engine has tried twice: the old take is kept
            takes.append(self._hear(request.text, key))
            metrics.takes_remade_by_listening.labels(takes[-1].metadata.recipe.voice).inc()
        best = min(takes, key=lambda take: take.hearing.order)
        if len(takes) > 1 and best.only_its_duration:
            best = replace(best, hearing=replace(best.hearing, verdict=Verdict.DOUBTFUL))
        if best.babble:
            self._set_aside(key, takes)
            if (phrase := self._catalogue.get(key)) is not None and not pinned:
                self._catalogue.remove([phrase])
                return Outcome(Verdict.WRONG, len(takes) - 1, False)
        self._catalogue.put(key, best.sound, replace(best.metadata, heard=best.hearing))
        if best.hearing.verdict.needs_review:
            self._set_aside(key, takes)
        else:
            self._side_takes.forget(key)
        return Outcome(best.hearing.verdict, len(takes) - 1, True)

    def _should_remake(self, takes: list[_Take]) -> bool:
        best = min(takes, key=lambda take: take.hearing.order)
        doubtful = best.hearing.verdict is Verdict.DOUBTFUL or best.only_its_duration
        return best.hearing.verdict.needs_review and len(takes) < (MAX_DOUBTFUL_TAKES if doubtful else MAX_TAKES)

    def _hear(self, text: str, key: str) -> _Take:
        """Hear what is kept under a key. Raises UnknownPhrase if it is gone, CacheError, ListeningFailed."""
        phrase = self._catalogue.get(key)
        if phrase is None:
            raise UnknownPhrase(f"Phrase {key:.12} is gone.")
        sound = self._catalogue.read_sound(phrase)
        try:
            metadata = phrase.metadata()
        except ValueError:
            raise UnknownPhrase(f"Phrase {key:.12} has no metadata.") from None
        heard = self._ears.hear(sound, metadata.recipe.text if metadata.recipe.text else text)
        digest, spreads = hashlib.sha256(sound).hexdigest(), self._durations.spreads(metadata.recipe, sound)
        hearing = judge(heard, metadata.recipe.engine, digest, self._model, spreads)
        metrics.takes_heard.labels(metadata.recipe.voice, hearing.verdict).inc()
        logger.info("phrase %.12s: heard as %s (%s)", key, hearing.verdict, ascii(heard.told))
        return _Take(sound, metadata, hearing, is_unintelligible(heard))

    def _set_aside(self, key: str, takes: list[_Take]) -> None:
        self._side_takes.forget(key)
        for take in takes:
            self._side_takes.add(key, take.sound, replace(take.metadata, heard=take.hearing))

    def _note(self, page: KeptPhrase, verdict: Verdict, keys: list[str]) -> None:
        """Note with a page the verdict on its sentences and the times of their words. keys: of the sentences."""
        metadata, sound = page.metadata(), self._catalogue.read_sound(page)
        words = self._find_words(sound, keys)
        hearing = Hearing(verdict, page.sha256, self._model, metadata.recipe.said, "", None, (), words=words)
        self._catalogue.put(page.key, sound, replace(metadata, heard=hearing))

    def _find_words(self, page: bytes, keys: list[str]) -> tuple[TimedWord, ...]:
        """Return the words of the sentences that a page is joined from; none if the words of one are not known."""
        samples, rate = wav_pcm(page), wav_rate(page)
        words: list[TimedWord] = []
        end = 0
        for phrase in map(self._catalogue.get, keys):
            if phrase is None or phrase.hearing is None or not phrase.hearing.words:
                return ()
            sentence = wav_pcm(self._catalogue.read_sound(phrase))
            begin = samples.find(sentence, end)
            if begin < 0:  # another take of the sentence is kept by now
                return ()
            words += [word.later(begin / 2 / rate) for word in phrase.hearing.words]
            end = begin + len(sentence)
        return tuple(words)
