"""Mutations of JSON that keep it JSON: what libFuzzer's own mutations of bytes seldom do."""

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -0.0, 1, 1.5, -1, 2**53 + 1, 2**63, 2**64, 1e308, 1e21, 1_400_687_660_123),
    *("", " ", "true", "é", "\ud83d", "\u0000", "x" * 151, "é" * 501, ".", "..", "a/b", "%2e", "cio_1"),
    *([], {}, [[]], [{}]),
)  # fmt: skip
_ODD_TEXTS = ("", " ", "\u0000", "é", "@", "/", "%", "9", "\u3000")


class JsonMutator:
    """Changes the JSON at the end of an input, with names and values from the corpus."""

    def __init__(self, corpus: Iterable[bytes]) -> None:
        self._names = ["a"]
        self._values: list[Any] = [*_ODD_VALUES]
        for data in corpus:
            for value in _parts(_document(data)):
                self._values.append(value)
                self._names += value if isinstance(value, dict) else ()

    def mutated(self, data: bytes, seed: int) -> bytes | None:
        """Return an input with one to four changes to its JSON, None for an input without JSON."""
        document = _document(data)
        if document is None:
            return None
        random = Random(seed)
        try:
            for _ in range(random.randint(1, 4)):
                document = self._changed(document, random)
            text = json.dumps(document, ensure_ascii=random.random() < 0.5)
        except RecursionError:
            return None
        return data[: data.find(b"{")] + text.encode("utf-8", "replace")

    def _changed(self, value: Any, random: Random) -> Any:
        """Return a value with a change at a random place in it."""
        if isinstance(value, dict) and value and random.random() < 0.7:
            name = random.choice(list(value))
            return value | {name: self._changed(value[name], random)}
        if isinstance(value, list) and value and random.random() < 0.7:
            index = random.randrange(len(value))
            return [*value[:index], self._changed(value[index], random), *value[index + 1 :]]
        return self._replaced(value, random)

    def _replaced(self, value: Any, random: Random) -> Any:
        choice = random.randrange(6)
        if isinstance(value, dict) and choice < 4:
            if choice == 0:
                return {name: value[name] for name in list(value)[1:]}
            return value | {random.choice(self._names): random.choice(self._values)}
        if isinstance(value, list) and choice < 4:
            return [*value, random.choice(self._values)]
        if isinstance(value, str) and choice < 2:
            at = random.randrange(len(value) + 1)
            return value[:at] + random.choice(_ODD_TEXTS) + value[at:]
        if choice == 2:
            return [value]
        if choice == 3:
            return {random.choice(self._names): value}
        return random.choice(self._values)


def _document(data: bytes) -> Any:
    """Return the JSON object that an input ends with, None if there is none."""
    begin = data.find(b"{")
    try:
        return json.loads(data[begin:]) if begin >= 0 else None
    except (ValueError, RecursionError):
        return None


def _parts(value: Any) -> Iterator[Any]:
    """Yield a value, and all values in it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from _parts(inner)
    for inner in value if isinstance(value, list) else ():
        yield from _parts(inner)
