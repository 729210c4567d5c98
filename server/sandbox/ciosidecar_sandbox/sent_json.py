"""JSON whose fractions keep the digits that were sent: 59.70 stays 59.70, on the page and in the admin API."""

from math import isfinite
from typing import Any, Self

from msgspec import Raw, ValidationError
from msgspec.json import Decoder, Encoder


class SentFloat(float):
    """A number with a fraction or an exponent, and its text."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Create a number.

        Raises:
            ValidationError: The number is out of a double's range.
        """
        number = super().__new__(cls, text)
        if not isfinite(number):
            raise ValidationError("Number out of range")
        number.text = text
        return number


def _raw(value: object) -> Raw:
    if isinstance(value, SentFloat):
        return Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is no JSON")


decode: Any = Decoder(float_hook=SentFloat).decode
"""Decode JSON. Raises DecodeError or ValidationError, as msgspec.json.decode does."""
encode = Encoder(enc_hook=_raw).encode
"""Encode a value. Numbers from `decode` get the text that they were sent with."""
