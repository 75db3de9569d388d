"""The judge of the trials in which things are killed: right from wrong, and clear refusals from all others."""

from __future__ import annotations

from typing import Any, cast

import requests

from benchmarks.trial import Reference, Trial


class Echo:
    def sound(self, phrase: str) -> bytes:
        return b"RIFF" + phrase.encode()


def answer(content: bytes) -> requests.Response:
    made = requests.Response()
    made._content = content
    return made


def test_every_answer_is_judged_in_its_own_part() -> None:
    trial = Trial("", requests.Session, cast(Reference, Echo()))
    trial.hear("before", answer(b"RIFFbefore"))

    def event() -> None:
        trial.hear("un", answer(b"RIFFun"))
        trial.hear("deux", answer(b"RIFFtrois"))
        trial.hear("quatre", answer(b"{}"))  # not a sound: it is among the failures
        refusals: list[Any] = [
            '503 {"error": {"code": "overloaded"}}',
            "503 <html>",
            '500 {"error": {"code": "internal"}}',
        ]
        trial.failures.extend([*refusals, "ConnectionError()"])

    outcome = trial.during(0, event)
    assert (outcome.right, outcome.wrong) == (1, 1)
    assert outcome.cells() == ["6", "1", "1", "1", "1 503 without a reason, 1 500 internal, 1 broken off"]
