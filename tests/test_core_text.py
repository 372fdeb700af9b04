"""Answer extraction, and text made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.core.extract import EXTRACTORS, answer_key, extractor, first_json, first_select, number_key
from burnish.core.text import one_line, printable, storable


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("last_number", "It is 3, no: 1,234.50 dollars.", "1234.5"),
        ("last_number", "so x = -7", "-7"),
        ("last_number", "so x=-7", "-7"),
        ("last_number", "pages 40-42", "42"),
        ("last_number", "about 1e3", "1000"),
        ("last_number", "0.0 or -0", "0"),
        ("last_number", "no idea", None),
        ("last_number", "", None),
        ("last_number", "42.", "42"),
        ("boxed", r"\boxed{1} then \boxed{ 2.0 }", "2"),
        ("boxed", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("boxed", r"\boxed{", None),
        ("words", "  The  Eiffel\nTower. ", "the eiffel tower"),
        ("words", " ... ", None),
        ("first_line", "\n\n Yes! \nbecause", "yes"),
        ("first_line", "\n", None),
        ("exact_text", " A b \n", "A b"),
        ("exact_text", "  ", None),
        ("json_value", 'Here: {"b": [1], "a": null} and {"c": 1}', '{"a":null,"b":[1]}'),
        ("json_value", '{broken {"a": 1}', '{"a":1}'),
        ("json_value", '{"a": NaN}', None),
        ("sql", "```sql\nSELECT a,\n  b FROM t;\n```\nSELECT 2", "SELECT a, b FROM t"),
        ("sql", "Sure. select 1\n\nThat is it.", "select 1"),
        ("sql", "WITH x AS (SELECT 1) SELECT * FROM x;", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("sql", "I cannot.", None),
    ],
)
def test_the_key_of_an_answer(name: str, text: str, key: str | None) -> None:
    assert extractor(name)(text) == key


@pytest.mark.parametrize("name", sorted(EXTRACTORS))
@given(text=st.text() | st.text(alphabet='[{}]",:0123456789.eE-+ \\boxed') | st.from_regex(r"[\[{\"`]{0,40}", fullmatch=True))
def test_an_extractor_never_fails_and_never_gives_an_empty_key(name: str, text: str) -> None:
    key = EXTRACTORS[name](text)
    assert key is None or key


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_equal_numbers_meet_under_one_key(value: object) -> None:
    key = number_key(str(value))
    assert key is not None
    assert number_key(key) == key == number_key(f"+{value}" if not str(value).startswith("-") else str(value))
    assert number_key(f"{value:,}") == key


@pytest.mark.parametrize("text", ["", "-", "1e999", "nan", "inf", "1 2", "x", "9" * 400, "1e-999999999"])
def test_what_is_no_number_has_no_key(text: str) -> None:
    assert number_key(text) is None


def test_a_cut_answer_counts_only_if_it_was_complete() -> None:
    number = extractor("last_number")
    assert answer_key(number, "so it is 42", truncated=True) is None
    assert answer_key(number, "so it is 42", truncated=False) == "42"
    assert answer_key(extractor("boxed"), r"\boxed{42} and so", truncated=True) == "42"
    assert answer_key(extractor("first_line"), "yes\nbec", truncated=True) == "yes"
    assert answer_key(extractor("json_value"), '{"a": 1} wh', truncated=True) == '{"a":1}'


def test_deep_and_long_json_is_survived() -> None:
    assert first_json("[" * 100_000) is None
    assert first_json("{" * 5_000 + '{"a": 1}') is None
    assert first_json('x {"a": {"b": 1}}') == {"a": {"b": 1}}


def test_a_select_is_not_found_within_a_word() -> None:
    assert first_select("selection of 1") is None


def test_an_unknown_extractor_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="soul") as error:
        extractor("soul")
    assert "last_number" in error.value.hint
    own = str.upper
    assert extractor(own) is own


# --- safe text ---


@given(st.text(alphabet=st.characters()))
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    safe = printable(text)
    assert all(c in "\n\t" or unicodedata.category(c)[0] != "C" for c in safe)
    assert printable(safe) == safe
    safe.encode()


@given(st.text(alphabet=st.characters()), st.integers(1, 60))
def test_one_line_is_one_line_of_at_most_its_width(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert "\n" not in line
    assert "\t" not in line


@given(st.text(alphabet=st.characters()))
def test_stored_text_is_valid_and_changed_only_where_it_must_be(text: str) -> None:
    kept = storable(text)
    kept.encode()
    assert "\0" not in kept
    if "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        assert kept == text


def test_escapes_are_shown() -> None:
    assert printable("\x1b[31mred\u202e") == "\\x1b[31mred\\u202e"
    assert storable("a\0b\ud800") == "a\\x00b\\ud800"
    assert one_line("a\nb\t" + "c" * 99, 6) == "a b c…"
