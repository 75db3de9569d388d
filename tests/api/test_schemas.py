"""Fields that accept exactly what JSON says: no text for a number, no number for a boolean."""

from __future__ import annotations

import json

import pytest

from monica.api.schemas import parse_speech
from monica.errors import InvalidRequest


@pytest.mark.parametrize(("value", "seed"), [("7", 7), ("0", 0), ("4294967295", 2**32 - 1)])
def test_seed_is_a_whole_number(value: str, seed: int) -> None:
    parsed = parse_speech(f'{{"text": "Bonjour.", "seed": {value}}}'.encode()).seed
    assert parsed == seed
    assert type(parsed) is int


@pytest.mark.parametrize("value", ["7.0", "7.5", '"7"', "true", "false", "1e999", "-1", "4294967296", "[7]", "{}"])
def test_anything_else_is_no_seed(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_speech(f'{{"text": "Bonjour.", "seed": {value}}}'.encode())
    assert caught.value.param == "seed"


@pytest.mark.parametrize("value", ["0.5", True, [0.5]])
def test_number_accepts_neither_text_nor_boolean(value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_speech(json.dumps({"text": "Bonjour.", "temperature": value}).encode())
    assert caught.value.param == "temperature"
