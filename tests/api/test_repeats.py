"""What is remembered of an answer, and what makes it another one. The HTTP side is in tests/process/test_repeats.py."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from monica.api import repeats
from monica.api.repeats import Repeatable, Repeats
from monica.service import Service
from monica.serving.worker import REPEATABLE, DrainingWorker
from monica.speech import Announcement, SpeechRequest

TEXT = "Pablo vient de se faire éliminer."
ASKED = b"POST /blabla HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
HEAD = (
    "HTTP/1.1 200 OK\r\n",
    "Date: then\r\n",
    "X-Odd: 100%s\r\n",
    "X-Request-Id: old\r\n",
    "X-Generation-Time: 9s\r\n",
)
SPEECH = SpeechRequest(TEXT)


@pytest.fixture
def kept(service: Service) -> Announcement:
    service.announcer.announce(SPEECH)
    return service.announcer.announce(SPEECH)


def learned(service: Service, kept: Announcement) -> Repeats:
    known = Repeats(service.announcer)
    assert kept.key is not None
    known.learn(ASKED, Repeatable(SPEECH, kept.key, len(kept.wav), "POST", "/blabla", "/blabla", "hit"), HEAD)
    return known


def test_worker_and_view_mean_the_same_key() -> None:
    assert REPEATABLE == repeats.REPEATABLE


def test_answer_is_what_was_said_with_a_new_date_id_and_time(service: Service, kept: Announcement) -> None:
    answer = learned(service, kept).answer(ASKED, lambda: "now")
    assert answer is not None
    head, body = answer
    assert body == kept.wav
    lines = head.decode().split("\r\n")
    assert lines[:3] == ["HTTP/1.1 200 OK", "Date: now", "X-Odd: 100%s"]
    assert lines[3] != "X-Request-Id: old"
    assert lines[4:] == ["X-Generation-Time: 0.00s", "", ""]


@pytest.mark.parametrize(
    "asked",
    [
        ASKED + b" ",
        ASKED.replace(b"x", b"y"),
        ASKED.replace(b"\r\nContent", b"\r\nX-Request-Id: a b\r\nContent"),
        ASKED.replace(b"\r\nContent", b"\r\nX-Request-Id: a\r\nx-request-id: b\r\nContent"),
    ],
)
def test_other_request_is_not_known(service: Service, kept: Announcement, asked: bytes) -> None:
    assert learned(service, kept).answer(asked, str) is None


def test_request_with_an_id_is_known_without_it(service: Service, kept: Announcement) -> None:
    asked = ASKED.replace(b"\r\nContent", b"\r\nx-request-id: mine\r\nContent")
    answer = learned(service, kept).answer(asked, str)
    assert answer is not None
    assert b"\r\nX-Request-Id: mine\r\n" in answer[0]


def test_sound_that_is_gone_or_another_is_not_repeated(service: Service, kept: Announcement) -> None:
    known, store = learned(service, kept), service.announcer._takes
    assert kept.key is not None
    store.put(kept.key, kept.wav + b"\0\0")
    assert known.answer(ASKED, str) is None
    store.put(kept.key, kept.wav)
    assert known.answer(ASKED, str) is not None
    store.remove(kept.key)
    assert known.answer(ASKED, str) is None


def test_request_that_means_another_sound_now_is_not_repeated(
    service: Service, kept: Announcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = learned(service, kept)
    monkeypatch.setattr(service.announcer, "key_of", lambda _request: "another")
    assert known.answer(ASKED, str) is None


def test_memory_is_bounded(service: Service, kept: Announcement, monkeypatch: pytest.MonkeyPatch) -> None:
    known = learned(service, kept)
    assert kept.key is not None
    monkeypatch.setattr(repeats, "MAX_REMEMBERED", 3)
    repeatable = Repeatable(SPEECH, kept.key, len(kept.wav), "POST", "/blabla", "/blabla", "hit")
    for n in range(3):
        known.learn(ASKED + b"%d" % n, repeatable, HEAD)
    assert known.answer(ASKED, str) is None
    assert known.answer(ASKED + b"0", str) is not None
    long = ASKED + bytes(repeats.MAX_BYTES)
    known.learn(long, repeatable, HEAD)
    assert known.answer(long, str) is None


@pytest.mark.parametrize(("alone", "alive", "known"), [(True, True, True), (False, True, True), (True, False, True),
                                                      (True, True, False)])  # fmt: skip
def test_worker_repeats_only_a_whole_request_while_it_goes_on(
    alone: bool, alive: bool, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopping worker has to say that the connection closes."""
    sent: list[bytes] = []

    def sendmsg(parts: list[bytes], _ancillary: list[Any], _flags: int) -> int:
        sent.append(b"".join(parts)[:6])  # as much as fits
        return 6

    worker: Any = object.__new__(DrainingWorker)
    worker.alive, worker.log = alive, logging.getLogger()
    worker.repeats = SimpleNamespace(answer=lambda _asked, _date: (b"head", b"body") if known else None)
    request = SimpleNamespace(data=bytearray(ASKED), is_alone=alone)
    started: list[tuple[bytes, bool]] = []
    unreader = SimpleNamespace(start=lambda data, whole: started.append((data, whole)))
    connection = SimpleNamespace(
        request=request,
        initialized=True,
        parser=SimpleNamespace(unreader=unreader),
        sock=SimpleNamespace(begin_answer=lambda: None, sendmsg=sendmsg, sendall=sent.append),
    )
    monkeypatch.setattr("gunicorn.workers.gthread.ThreadWorker.handle", lambda _self, _connection: False)
    repeated = DrainingWorker.handle(worker, cast(Any, connection))
    assert repeated == (alone and alive and known)
    assert sent == ([b"headbo", b"dy"] if repeated else [])
    assert started == ([] if repeated else [(ASKED, alone)])
