"""The table of French words: how it is made, and that it is as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from monica.text import accents_build
from monica.text.accents_table import PATH, Reading, readings, strip_accents

HEAD = "1_ortho\t3_lemme\t4_cgram\t5_genre\t6_nombre\t9_freqfilms2\t10_freqlivres\t11_infover\n"
ROWS = (
    'passé\tpasser\tVER\tm\ts\t200\t240\t"par:pas;"\n'
    'passe\tpasser\tVER\t\t\t300\t400\t"imp:pre:2s;ind:pre:1s;ind:pre:3s;"\n'
    'climatisé\tclimatiser\tVER\tm\ts\t0,1\t0,1\t"par:pas;"\n'
    'possédé\tposséder\tVER\tm\ts\t3\t3\t"par:pas;"\n'
    'levé\tlever\tVER\tm\ts\t3\t3\t"par:pas;"\n'
    "même\tmême\tADV\t\t\t1000\t1000\t\n"
    "mémé\tmémé\tNOM\tf\ts\t10\t10\t\n"
    "table\ttable\tNOM\tf\ts\t100\t100\t\n"
    "tablar\ttablar\tNOM\tm\ts\t0,01\t0,01\t\n"
    "aujourd'hui\taujourd'hui\tADV\t\t\t300\t300\t\n"
    "à\tà\tPRE\t\t\t1000\t1000\t\n"
    'élimines\téliminer\tVER\t\t\t1\t1\t"ind:pre:2s;"\n'
)


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    file = tmp_path / "Lexique383.txt"
    file.write_text(HEAD + ROWS, encoding="cp1252")
    return list(accents_build.lines(accents_build.read_lexique(file)))


def test_forms_are_grouped_by_their_letters(lines: list[str]) -> None:
    assert "passe =V passé=Pms" in lines
    assert "a à=S" in lines
    assert "elimines élimines=T" in lines


def test_verb_has_a_finite_form_though_lexique_met_none(lines: list[str]) -> None:
    assert "climatise climatisé=Pms ~=V" in lines
    assert "possede possédé=Pms ~possède=V" in lines
    assert "leve levé=Pms" in lines


def test_what_is_hardly_ever_meant_is_left_out(lines: list[str]) -> None:
    assert "meme même=R" in lines
    assert not [line for line in lines if line.startswith(("tablar", "aujourd"))]
    assert "table =Nfs" in lines


def test_table_is_written_from_the_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, table = tmp_path / "Lexique383.txt", tmp_path / "accents.txt"
    source.write_text(HEAD + ROWS, encoding="cp1252")
    monkeypatch.setattr(accents_build, "PATH", table)
    monkeypatch.setattr("sys.argv", ["accents_build", str(source)])
    accents_build.main()
    assert table.read_text(encoding="utf-8").startswith("# What the letters")
    assert "table =Nfs\n" in table.read_text(encoding="utf-8")


def test_missing_source_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accents_build, "SOURCE", "no_such_package")
    monkeypatch.setattr("sys.argv", ["accents_build"])
    with pytest.raises(SystemExit, match="not installed"):
        accents_build.main()


def test_shipped_table_names_its_source_and_licence() -> None:
    head = [line for line in PATH.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any("Lexique 3.83" in line for line in head)
    assert any("CC BY-SA 4.0" in line for line in head)


def test_every_word_of_the_table_is_found() -> None:
    rows = [line for line in PATH.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    keys = [row.split(" ", 1)[0] for row in rows]
    assert keys == sorted(set(keys))
    assert len(keys) > 60_000
    for key in keys[::17]:
        found = readings(key)
        assert found, key
        assert all(strip_accents(reading.form) == key and reading.tags for reading in found), key


@pytest.mark.parametrize("word", ["", "zzzz", "a" * 5000, "été", "x y", "\ud800", "#", "-", "12"])
def test_unknown_word_has_no_readings(word: str) -> None:
    assert readings(word) == ()


def test_word_has_its_forms_and_tags() -> None:
    assert readings("elimine") == (
        Reading("éliminé", ("Pms", "Ams"), rare=False),
        Reading("élimine", ("V",), rare=False),
    )
