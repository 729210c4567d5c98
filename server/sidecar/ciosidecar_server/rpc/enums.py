"""Enums of the contract → the words of the dashboard's JSON."""

from typing import Any


def enum_word(number: int, words: dict[Any, str]) -> str | None:
    """Return the word of an enum's number: None if it is not set, "?" if it is of a newer contract."""
    return words.get(number, "?") if number else None
