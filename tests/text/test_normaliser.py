"""Any Unicode becomes tidy text, or a clear error."""

from __future__ import annotations

import unicodedata

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monica.text import has_words, tidy

ANY_TEXT = st.text(st.characters())  # lone surrogates included


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("  Bonjour \n\t à tous ", "Bonjour à tous"),
        ("e\u0301limine\u0301", "éliminé"),
        ("a\u0000b\u0007", "ab"),
        ("élimi\u00adné", "éliminé"),
        ("1\u00a0500\u202fjetons", "1 500 jetons"),
        ("\ufeffBonjour", "Bonjour"),
        ("ok\ud800", "ok"),
        ("A♠ 🃏", "A♠ 🃏"),
    ],
)
def test_tidy(text: str, tidied: str) -> None:
    assert tidy(text) == tidied


@given(ANY_TEXT)
def test_tidy_is_idempotent_and_clean(text: str) -> None:
    tidied = tidy(text)
    assert tidy(tidied) == tidied
    assert unicodedata.is_normalized("NFC", tidied)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in tidied)
    assert has_words(tidied) == has_words(text)
    tidied.encode()


@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ANY_TEXT)
def test_any_unicode_gets_sound_or_a_clear_error(client: FlaskClient, text: str) -> None:
    answer = client.post("/blabla", json={"text": text})
    if answer.status_code != 200:
        assert answer.status_code == 400, answer.data
        assert answer.get_json()["error"]["code"] in ("text_empty", "text_too_long")
    else:
        assert answer.data[:4] == b"RIFF"
