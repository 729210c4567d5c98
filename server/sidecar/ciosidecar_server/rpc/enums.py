"""Enums of the contract → the words of the dashboard's JSON."""

from typing import Any


def enum_word(number: int, words: dict[Any, str]) -> str | None:
    """Return the setting's word, None where it is not set, "?" for a number of a newer contract."""
    return words.get(number, "?") if number else None
