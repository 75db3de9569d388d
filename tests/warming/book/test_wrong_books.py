"""Books that are refused, with a message that names the file, the line and the key."""

from __future__ import annotations

import time

import pytest

from monica.warming.book import BookError, PhraseBook

PLAYERS = '[rosters]\nplayers = ["Ana", "Bo"]\nlevels = [{ small = 10, big = 20 }]\n'  # three lines


def refusal(source: str | bytes, max_text_length: int = 500) -> str:
    with pytest.raises(BookError) as error:
        PhraseBook.parse(source, "tournoi.toml", max_text_length)
    assert (error.value.status, error.value.code) == (422, "book_invalid")
    assert "\n" not in error.value.message
    assert len(error.value.message) < 400
    return error.value.message.removeprefix("tournoi.toml, ")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        # placeholders
        ('text = "{a}"\na = "playerz"', "line 6, phrases[0].a: there is no roster 'playerz'; known: levels, players"),
        ('text = "{killer} {b}"\nb = "players"', "line 5, phrases[0].text: {killer} has no roster: add killer = "),
        ('text = "Pause"\na = "players"', "line 6, phrases[0].a: no text has {a} in it"),
        ('text = ["Pause", "{b}"]\na = "players"\nb = "players"', "line 6, phrases[0].a: no text has {a} in it"),
        ('text = "{a}"\na = 5', "line 6, phrases[0].a: must be the name of a roster"),
        ('text = "{a}"\na = ["players"]', "line 6, phrases[0].a: must be the name of a roster"),
        ('text = "{seed}"\nseed = 5', "line 5, phrases[0].text: seed has a meaning of its own"),
        ('text = "{text}"', "line 5, phrases[0].text: text has a meaning of its own"),
        ('"a b" = "players"\ntext = "Pause"', "line 5, phrases[0].'a b': a name has letters"),
        ('"a\\nb" = "players"\ntext = "Pause"', "line 4, phrases[0].'a\\nb': a name has letters"),
        ('text = "{a}{b}{c}"\na = "players"\nb = "players"\nc = "players"',
         "line 5, phrases[0].text: takes 3 different values of roster players, which has 2"),
        ('text = "Pause"\n' + "".join(f's{n} = "players"\n' for n in range(17)),
         "line 22, phrases[0].s16: a phrase has 16 placeholders at most"),
        # fields
        ('text = "{l}"\nl = "levels"',
         "line 5, phrases[0].text: roster levels holds records: write {l.big} or {l.small}"),
        ('text = "{l.bg}"\nl = "levels"', "line 5, phrases[0].text: roster levels has no field bg: write {l.big}"),
        ('text = "{a.big}"\na = "players"', "line 5, phrases[0].text: roster players holds plain values, not records"),
        # texts
        ("priority = 1", "line 4, phrases[0]: there is no text"),
        ("text = 5", "line 5, phrases[0].text: must be a text"),
        ('text = ""', "line 5, phrases[0].text: must be a text"),
        ("text = []", "line 5, phrases[0].text: must be a text"),
        ('text = ["Pause",\n  5]', "line 6, phrases[0].text[1]: must be a text"),
        ('text = ["Pause",\n# "x",\n"""\n!?\n"""]', "line 7, phrases[0].text[1]: there is nothing to say"),
        ('text = " ! "', "line 5, phrases[0].text: there is nothing to say"),
        # braces
        ('text = "{"', "line 5, phrases[0].text: a { stands alone"),
        ('text = "a}"', "line 5, phrases[0].text: a } stands alone"),
        ('text = "{a}}"\na = "players"', "line 5, phrases[0].text: a } stands alone"),
        ('text = "{{a}"\na = "players"', "line 5, phrases[0].text: a } stands alone"),
        ('text = "{a{b}}"', "line 5, phrases[0].text: a { stands alone"),
        ('text = "{}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a.b.c}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a.}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{ a }"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a!r}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a[0]}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a:>99999999}"', "line 5, phrases[0].text: braces hold the name"),
        ('text = "{a.__class__}"\na = "players"', "line 5, phrases[0].text: roster players holds plain values"),
        # a block's own keys
        ('text = "Pause"\npriority = "high"', "line 6, phrases[0].priority: must be a whole number, -1000 to 1000"),
        ('text = "Pause"\npriority = 1.5', "line 6, phrases[0].priority: must be a whole number"),
        ('text = "Pause"\npriority = true', "line 6, phrases[0].priority: must be a whole number"),
        ('text = "Pause"\npriority = 1001', "line 6, phrases[0].priority: must be a whole number"),
        ('text = "Pause"\nvoice = 5', "line 6, phrases[0].voice: must be the name of a voice"),
        ('text = "Pause"\nvoice = " "', "line 6, phrases[0].voice: must be the name of a voice"),
        ('text = "Pause"\nexaggeration = nan', "line 6, phrases[0].exaggeration: must be a number, 0 to 2"),
        ('text = "Pause"\ntemperature = inf', "line 6, phrases[0].temperature: must be a number, 0.05 to 5"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_refused(block: str, message: str) -> None:
    assert refusal(f"{PLAYERS}[[phrases]]\n{block}\n").startswith(message)


@pytest.mark.parametrize(
    ("rosters", "message"),
    [
        ("[rosters]\na = []", "line 2, rosters.a: a roster is a list"),
        ('[rosters]\n\na = "Ana"', "line 3, rosters.a: a roster is a list"),
        ("[rosters.a]\nsmall = 10", "line 1, rosters.a: a roster is a list"),
        ('[rosters]\na = ["Ana",\n"Bo",\n"Ana"]', "line 4, rosters.a[2]: 'Ana' is there twice"),
        ('[rosters]\na = ["10",\n10]', "line 3, rosters.a[1]: '10' is there twice"),
        ('[rosters]\na = ["Ana", # "x",\n" Ana "]', "line 3, rosters.a[1]: 'Ana' is there twice"),
        ("[rosters]\na = [{x=1,y=2},\n{y=2,x=1}]", "line 3, rosters.a[1]: '2, 1' is there twice"),
        ("[[rosters.a]]\nx=1\n[[rosters.a]]\nx=1", "line 3, rosters.a[1]: '1' is there twice"),
        ('[rosters]\na = ["Ana",\n""]', "line 3, rosters.a[1]: a value is text with something to say"),
        ('[rosters]\na = ["Ana",\n"!"]', "line 3, rosters.a[1]: a value is text"),
        ("[rosters]\na = [1,\ntrue]", "line 3, rosters.a[1]: a value is text"),
        ("[rosters]\na = [1,\n20:30:00]", "line 3, rosters.a[1]: a value is text"),
        ("[rosters]\na = [1979-05-27 07:32:00,\n1]", "line 2, rosters.a[0]: a value is text"),
        ("[rosters]\na = [1,\n[2]]", "line 3, rosters.a[1]: a value is text"),
        ("[rosters]\na = [nan]", "line 2, rosters.a[0]: a value is text"),
        ("[rosters]\na = [1e300]", "line 2, rosters.a[0]: a value is text"),
        ("[rosters]\na = [1e-9]", "line 2, rosters.a[0]: a value is text"),
        (f"[rosters]\na = [0x{'f' * 9000}]", "line 2, rosters.a[0]: a value is text"),
        ("[rosters]\na = [{}]", "line 2, rosters.a[0]: a record has at least one field"),
        ("[rosters]\na = [{x = 1},\n{x = {y = 1}}]", "line 3, rosters.a[1].x: a value is text"),
        ("[rosters]\na = [{x = 1},\n{y = 1}]", "line 3, rosters.a[1]: all values of a roster are plain, or all are"),
        ("[rosters]\na = [{x = 1},\n1]", "line 3, rosters.a[1]: all values of a roster are plain, or all are"),
        ('[rosters]\na = [{"" = 1}]', "line 2, rosters.a[0].'': a name has letters"),
        ('[rosters]\n"a b" = [1]', "line 2, rosters.'a b': a name has letters"),
        ("rosters = 5", "line 1, rosters: must be a table"),
        ("[[rosters]]\na = [1]", "line 1, rosters: must be a table"),
        ("\ntitle = 'x'", "line 2, title: a book has rosters and phrases"),
        ("[rosters]\n[phrase]", "line 2, phrase: a book has rosters and phrases"),
        ("[rosters]\n[[phrase]]\n[[phrase]]", "line 2, phrase: a book has rosters and phrases"),
        (f'"{"x" * 9000}" = 1', "line 1, 'xxxxxxxxxxxx...xxxxxxxxxxxxx': a book has"),
        ("", "line 1, phrases: there are none"),
        ("phrases = []", "line 1, phrases: there are none"),
        ("[phrases]\ntext = 'x'", "line 1, phrases: each block begins with [[phrases]]"),
        ("phrases = ['x']", "line 1, phrases[0]: each block begins with [[phrases]]"),
    ],
)
def test_a_mistake_outside_the_blocks_is_refused(rosters: str, message: str) -> None:
    assert refusal(rosters).startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n\na = \n", "line 3, column 5: Invalid value"),
        ("\n\na =", "line 3: Invalid value"),
        ('a = """\n\n\n', "line 1: Unterminated string"),
        ("a = 1\na = 2\nb = 3", "line 2, column 6: Cannot overwrite a value"),
        (b"[rosters]\na = ['\xff']", "line 2: not UTF-8 text"),
        ("a = 1\nb = " + "9" * 5000, "line 2: a number of too many digits"),
        ("a = " + "[" * 100_000, "tournoi.toml: nested too deeply"),
        ("a = " + "{a = " * 100_000, "tournoi.toml: nested too deeply"),
        ("#" * (2**20 + 1), "tournoi.toml: more than 1048576 bytes"),
        ("\x00", "line 1, column 1: Invalid statement"),
        ("\ud800", "line 1, column 1: Invalid statement"),
    ],
)
def test_a_file_that_is_not_toml_is_refused(source: str | bytes, message: str) -> None:
    assert refusal(source).startswith(message)


@pytest.mark.parametrize(
    "key",
    ["a" + ".a" * 30_000 + " = 1", "[" + "a . " * 30_000 + "a]", 'b = {"\\"".' + '"\\"".' * 30_000 + "a = 1}"],
)
def test_a_key_with_many_dots_does_not_keep_the_server_busy(key: str) -> None:
    began = time.thread_time()
    assert refusal(f"a1 = 1\n{key}").startswith("line 2: a key of too many parts")
    assert time.thread_time() - began < 2


def test_a_text_may_have_many_dots() -> None:
    countdown = " ".join(f"{n}." for n in range(60, 0, -1))
    assert PhraseBook.parse(f'[[phrases]]\ntext = "{countdown}"', "tournoi.toml").count() == 1


def test_a_phrase_that_may_become_too_long_is_refused_before_it_is_made() -> None:
    source = PLAYERS + '[[phrases]]\ntext = "{a} {a}"\na = "players"'
    assert refusal(source, 6) == "line 5, phrases[0].text: a phrase may come to 7 characters, at most 6"
    assert PhraseBook.parse(source, "tournoi.toml", 7).count() == 2


def test_a_phrase_that_would_fill_the_memory_is_refused() -> None:
    source = f'[rosters]\na = ["{"x" * 500_000}"]\n[[phrases]]\ntext = "{"{s}" * 20_000}"\ns = "a"'
    assert refusal(source) == "line 4, phrases[0].text: a phrase may come to 10000000000 characters, at most 500"
