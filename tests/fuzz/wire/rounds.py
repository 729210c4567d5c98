"""The long form of the wire fuzzer: rounds of several attacks at a time, until somebody is harmed."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random, SystemRandom

from .http2_attacks import ATTACKS
from .messages import (
    BREAKS,
    METHODS,
    check_broken_envelope,
    check_broken_message,
    good_message,
)
from .peer import Gone, Peer
from .watched import Watched, watched_server

_MOST_AT_ONCE = 4
_MESSAGES = 30


def run(seconds: float, seed: int | None) -> int:
    """Attack one server. Return 1 if somebody was harmed.

    Args:
        seconds: How long.
        seed: The seed of the one round to run; None for rounds of chance.
    """
    end, rounds = time.monotonic() + seconds, 0
    with watched_server() as watched:
        while rounds == 0 or (seed is None and time.monotonic() < end):
            round_seed = SystemRandom().randrange(2**32) if seed is None else seed
            try:
                _round(watched, Random(round_seed))
            except KeyboardInterrupt:
                raise
            except BaseException:
                print(f"wire: round {rounds + 1} harmed somebody. To replay it:")
                print(f"  .venv/bin/python -m tests.fuzz wire --seed {round_seed}", flush=True)
                raise
            rounds += 1
    print(f"wire: {rounds} rounds in {seconds:.0f} s, nobody was harmed")
    return 0


def _round(watched: Watched, random: Random) -> None:
    """Run some attacks side by side, and broken messages beside them."""
    names = random.sample(sorted(ATTACKS), random.randint(1, _MOST_AT_ONCE))
    works: list[Callable[[], None]] = [
        _attack(watched, name, Random(random.random())) for name in names
    ]
    works.append(_messages(watched, Random(random.random())))
    faults: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - raised below, in the main thread
            faults.append(fault)

    with watched.unharmed():
        threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        watched.bystander.is_served()
        for thread in threads:
            thread.join()
    if faults:
        raise faults[0]


def _attack(watched: Watched, name: str, random: Random) -> Callable[[], None]:
    def attack() -> None:
        with Peer(watched.address) as peer, suppress(Gone):
            ATTACKS[name](peer, random)

    return attack


def _messages(watched: Watched, random: Random) -> Callable[[], None]:
    def send() -> None:
        for _ in range(_MESSAGES):
            path = random.choice(sorted(METHODS))
            broken = good_message(path, random)
            for name in random.sample(sorted(BREAKS), random.randint(1, 3)):
                broken = BREAKS[name](broken, random) or b"\0"
            check_broken_message(watched.address, path, broken[:1_000_000])
        check_broken_envelope(watched.address, random)

    return send
