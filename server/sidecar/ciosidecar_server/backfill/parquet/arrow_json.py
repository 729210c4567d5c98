"""Values of Arrow columns as values of JSON: every digit is kept, and a null is an absent member."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from msgspec import Raw
from pyarrow import types

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class Unusable:
    """A value that JSON has no form for."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        """The value as text, so that the event can be mended."""
        self.reason = reason
        """Why the value cannot be used: "is not a finite number"."""


def unsupported_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type, or the type within it, that has no form in JSON; None if there is none."""
    kind = _plain_type(kind)
    if types.is_map(kind):
        return unsupported_type(kind.key_type) or unsupported_type(kind.item_type)
    if _is_list(kind):
        return unsupported_type(kind.value_type)
    if types.is_struct(kind):
        found = (unsupported_type(field.type) for field in kind)
        return next((inner for inner in found if inner is not None), None)
    return None if _converter(kind) is not None else kind


def is_object(kind: pa.DataType) -> bool:
    """Return True if values of the type are JSON objects."""
    return bool(types.is_struct(kind) or types.is_map(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return True if values of the type are text, or bytes that may be text."""
    kind = _plain_type(kind)
    return any(is_kind(kind) for is_kind in (*_IS_TEXT, *_IS_BINARY))


def is_array(kind: pa.DataType) -> bool:
    """Return True if values of the type are JSON arrays."""
    return _is_list(_plain_type(kind))


def json_values(array: pa.Array) -> list[Any]:
    """Return the values of a column as msgspec encodes them to JSON; None for a null, or an Unusable."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind == pa.uuid():
            return [None if value is None else str(value) for value in array.to_pylist()]
        return json_values(array.storage)
    if types.is_dictionary(kind):
        return _from_dictionary(array)
    if types.is_map(kind):
        return _maps(array)
    if types.is_fixed_size_list(kind):
        return json_values(array.cast(pa.list_(kind.value_type)))
    if _is_list(kind):
        return _lists(array)
    if types.is_struct(kind):
        return _structs(array)
    converter = _converter(kind)
    if converter is None:
        raise TypeError(f"no form in JSON for {kind}")
    return converter(array)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of an extension type or a dictionary."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = pa.string() if kind == pa.uuid() else kind.storage_type
        elif types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _from_dictionary(array: pa.DictionaryArray) -> list[Any]:
    values = json_values(array.dictionary)
    return [None if index is None else values[index] for index in array.indices.to_pylist()]


def _structs(array: pa.StructArray) -> list[Any]:
    names = [field.name for field in array.type]
    if not names:
        return [None if value is None else {} for value in array.to_pylist()]
    children = [json_values(child) for child in array.flatten()]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        if valid
        else None
        for valid, row in zip(
            array.is_valid().to_pylist(), zip(*children, strict=True), strict=True
        )
    ]


def _lists(array: pa.Array) -> list[Any]:
    offsets = array.offsets.to_pylist()
    first = offsets[0] if offsets else 0
    values = json_values(array.values.slice(first, offsets[-1] - first)) if offsets else []
    return [
        values[start - first : end - first] if valid else None
        for valid, (start, end) in zip(array.is_valid().to_pylist(), pairwise(offsets), strict=True)
    ]


def _maps(array: pa.MapArray) -> list[Any]:
    offsets = array.offsets.to_pylist()
    first = offsets[0] if offsets else 0
    length = offsets[-1] - first if offsets else 0
    keys = [_key(key) for key in json_values(array.keys.slice(first, length))]
    items = json_values(array.items.slice(first, length))
    return [
        {
            key: item
            for key, item in zip(
                keys[start - first : end - first], items[start - first : end - first], strict=True
            )
            if item is not None
        }
        if valid
        else None
        for valid, (start, end) in zip(array.is_valid().to_pylist(), pairwise(offsets), strict=True)
    ]


def _key(key: Any) -> str:
    if isinstance(key, Unusable):
        return key.text
    if isinstance(key, bool):
        return "true" if key else "false"
    return bytes(key).decode() if isinstance(key, Raw) else str(key)


def _as_they_are(array: pa.Array) -> list[Any]:
    return list(array.to_pylist())


def _decimals(array: pa.Array) -> list[Any]:
    return [None if value is None else _digits(value) for value in array.to_pylist()]


def _digits(value: Decimal) -> Raw:
    return Raw(f"{value:f}".encode())


def _doubles(array: pa.Array) -> list[Any]:
    return [
        value if value is None or math.isfinite(value) else _not_finite(value)
        for value in array.to_pylist()
    ]


def _not_finite(value: float) -> Unusable:
    return Unusable(str(value), "is not a finite number")


def _floats(array: pa.Array) -> list[Any]:
    """Return numbers of 32 and 16 bits with the digits that they have, not those of the next double."""
    texts = array.cast(pa.float32()).cast(pa.string()).to_pylist()
    return [None if text is None else _float(text) for text in texts]


def _float(text: str) -> Raw | Unusable:
    if not math.isfinite(float(text)):
        return _not_finite(float(text))
    whole = not any(mark in text for mark in ".eE")
    return Raw(f"{text}.0".encode() if whole else text.encode())


def _texts(array: pa.Array) -> list[Any]:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:  # a file may claim UTF-8 that it does not have
        return _binaries(array.cast(pa.large_binary()))


def _binaries(array: pa.Array) -> list[Any]:
    return [None if value is None else _text(value) for value in array.to_pylist()]


def _text(value: bytes) -> str | Unusable:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unusable(value.decode(errors="replace"), "is not text in UTF-8")


def _dates(array: pa.Array) -> list[Any]:
    days = array.cast(pa.date32()).view(pa.int32()).to_pylist()
    return [None if day is None else _date(day) for day in days]


def _date(day: int) -> str | Unusable:
    try:
        return (_EPOCH_DAY + timedelta(days=day)).isoformat()
    except OverflowError:
        return Unusable(f"{day} days", "has a year that is not from 1 to 9999")


def _timestamps(array: pa.Array) -> list[Any]:
    """Return timestamps in RFC 3339 and UTC. A timestamp without a zone is UTC, as in rule 2.4."""
    per_second = _PER_SECOND[array.type.unit]
    ticks = array.view(pa.int64()).to_pylist()
    return [None if tick is None else _timestamp(tick, per_second) for tick in ticks]


def _timestamp(tick: int, per_second: int) -> str | Unusable:
    seconds, rest = divmod(tick, per_second)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return Unusable(f"{seconds} s", "has a year that is not from 1 to 9999")
    return f"{moment:%Y}".zfill(4) + f"{moment:-%m-%dT%H:%M:%S}{_fraction(rest, per_second)}Z"


def _fraction(rest: int, per_second: int) -> str:
    """Return the fraction of a second with 3, 6 or 9 digits; "" if it is 0."""
    if not rest:
        return ""
    nanoseconds = f"{rest * (1_000_000_000 // per_second):09}"
    return "." + next(
        nanoseconds[:digits] for digits in (3, 6, 9) if not nanoseconds[digits:].strip("0")
    )


def _times(array: pa.Array) -> list[Any]:
    per_second = _PER_SECOND[array.type.unit]
    ticks = array.view(pa.int32() if types.is_time32(array.type) else pa.int64()).to_pylist()
    return [None if tick is None else _time(tick, per_second) for tick in ticks]


def _time(tick: int, per_second: int) -> str:
    seconds, rest = divmod(tick, per_second)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{_fraction(rest, per_second)}"


_Converter = Callable[[pa.Array], list[Any]]
_Checks = tuple[Callable[[pa.DataType], bool], ...]
_IS_TEXT: _Checks = (types.is_string, types.is_large_string, types.is_string_view)
_IS_BINARY: _Checks = (
    types.is_binary,
    types.is_large_binary,
    types.is_binary_view,
    types.is_fixed_size_binary,
)
_CONVERTERS: tuple[tuple[_Checks, _Converter], ...] = (
    ((types.is_null, types.is_boolean, types.is_integer), _as_they_are),
    ((types.is_decimal,), _decimals),
    ((types.is_float64,), _doubles),
    ((types.is_float32, types.is_float16), _floats),
    (_IS_TEXT, _texts),
    (_IS_BINARY, _binaries),
    ((types.is_date,), _dates),
    ((types.is_timestamp,), _timestamps),
    ((types.is_time,), _times),
)


def _converter(kind: pa.DataType) -> _Converter | None:
    for checks, converter in _CONVERTERS:
        if any(check(kind) for check in checks):
            return converter
    return None
