"""Delivery to a sandbox that injects faults: each event once, in each person's order.

    .venv/bin/python -m tests.soak.delivery --events 100000 --people 5000 [--kill]

A sandbox with faults, a sidecar, a client that sends again what may be sent again. With `--kill`
the sidecar is killed (SIGKILL) and started again while it works. What is checked: every event has
exactly one result; what is reported delivered is in the sandbox, once, in each person's order;
nothing is there twice, whatever was sent twice; and what arrived twice did so because of a fault, with
the same event id. The checker of chaos (tests/chaos/checker.py) judges the arrivals.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import argparse
import json
import random
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Self

import httpx
from ciosidecar import Answer, Client, DeliveryOptions, StreamOptions
from ciosidecar_sandbox.faults import BadFaults, read_faults

from tests.arguments import parser_of, positive_int
from tests.chaos.books import Arrival, Books, Fault, Sent, Told
from tests.chaos.checker import check
from tests.endings import exit_with
from tests.ports import free_port
from tests.processes import server
from tests.sandbox.support import sandbox_process

FAULTS = "429=0.05,503=0.025,500=0.025,reset=0.005,reset-after=0.005,slow=0.01:300ms"
CONFIG = {"siteID": "site", "apiKey": "key"}


def _mark(index: int) -> str:
    return f"chaos-soak-{index}"


def event(index: int, people: int, dice: random.Random) -> bytes:
    """Return an event of one of the people, with two of three identifiers: any two events share one."""
    person = dice.randrange(people)
    known_by = dice.choice(("user and anonymous", "user and email", "anonymous and email"))
    found: dict[str, Any] = {
        "type": "track",
        "event": "Order",
        "messageId": f"message-{index}",
        "originalTimestamp": "2026-03-04T05:06:07.890Z",
        "properties": {"person": person, "index": index, "mark": _mark(index)},
    }
    if "user" in known_by:
        found["userId"] = f"user-{person}"
    if "anonymous" in known_by:
        found["anonymousId"] = f"anonymous-{person}"
    if "email" in known_by:
        found["context"] = {"traits": {"email": f"Person{person}@example.com"}}
    return json.dumps(found).encode()


class Book:
    """The events that were sent, and their results."""

    def __init__(self, number: int, people: int, seed: int) -> None:
        dice = random.Random(seed)
        self.events = [event(index, people, dice) for index in range(number)]
        self.results: Counter[str] = Counter()
        self.delivered: list[int] = []
        self.reconnects = 0
        self.kills = 0
        self.faults: list[str] = []
        # Each event names two of three identifiers of its person: any two events share one.
        self.sent = [
            Sent(_mark(index), "soak", (str(json.loads(text)["properties"]["person"]),))
            for index, text in enumerate(self.events)
        ]
        self.arrivals = self.repeats = 0

    def take(self, wanted: list[int], answers: Iterator[Answer]) -> list[int]:
        """Check the answers to events, in order; return the events to send again."""
        again = []
        for index, answer in zip(wanted, answers, strict=True):
            if answer.attachment != index:
                self.faults.append(f"answer to {answer.attachment} where {index} was due")
            result = answer.result
            error = result.error
            self.sent[index].told.append(
                Told(
                    time.time(),
                    result.status,
                    error.code if error else "",
                    retryable=error is not None and error.retryable,
                    attempts=result.delivery.attempts if result.delivery else 0,
                )
            )
            self.results[result.error.code if result.error else str(result.status)] += 1
            if result.error is not None and result.error.retryable:
                again.append(index)
            elif result.status == 200:
                self.delivered.append(index)
            else:
                self.faults.append(f"event {index} came back with {result.status}: {result.error}")
        return again

    def judge(self, arrivals: list[Arrival], kills: list[Fault]) -> None:
        """Let the checker judge what arrived."""
        verdict = check(Books(self.sent, arrivals, kills))
        self.arrivals, self.repeats = len(arrivals), verdict.repeats
        self.faults += map(str, verdict.violations)

    def compare(self, found: list[dict[str, Any]]) -> None:
        """Compare with the events of the sandbox, in order of arrival."""
        seen: Counter[int] = Counter()
        last: dict[int, int] = defaultdict(lambda: -1)
        for one in found:
            data = one["data"]
            seen[data["index"]] += 1
            if data["index"] < last[data["person"]]:
                self.faults.append(f"event {data['index']} came after {last[data['person']]}")
            last[data["person"]] = data["index"]
        self.faults += [f"event {index} is there {n} times" for index, n in seen.items() if n > 1]
        delivered = Counter(self.delivered)
        self.faults += [
            f"event {index} was reported {n} times" for index, n in delivered.items() if n > 1
        ]
        self.faults += [f"event {index} is missing" for index in delivered if index not in seen]
        self.faults += [
            f"event {index} never was reported"
            for index in range(len(self.events))
            if index not in delivered
        ]


def events_of(sandbox_url: str) -> list[dict[str, Any]]:
    """Return all events of the sandbox, oldest first."""
    found: list[dict[str, Any]] = []
    with httpx.Client(base_url=sandbox_url, timeout=30) as client:
        query: dict[str, Any] = {"limit": 1000}
        while True:
            page = client.get("/sandbox/events", params=query).json()
            found += page["events"]
            if page["next_before"] is None:
                return found[::-1]
            query["before"] = page["next_before"]


def arrivals_of(sandbox_url: str) -> list[Arrival]:
    """Return every arrival, once each request has its answer."""
    found: list[Arrival] = []
    after, is_open = 0, True
    with httpx.Client(base_url=sandbox_url, timeout=30) as client:
        while True:
            query = {"limit": 1000, "after": after}
            page = client.get("/sandbox/arrivals", params=query).json()
            assert not page["forgotten"], "the sandbox keeps too few arrivals"
            found += map(Arrival.read, page["arrivals"])
            after = page["next_after"]
            if not page["arrivals"] and not is_open:
                return found
            is_open = page["open"] > 0


def run(number: int, people: int, seed: int, faults: str, *, kill: bool) -> Book:
    """Deliver all events, and resend retryable failures in the order of each person."""
    book = Book(number, people, seed)
    options = StreamOptions(client_name="soak", reconnect_for_s=60)
    with sandbox_process(
        "--fault", faults, "--seed", str(seed), "--keep", str(4 * number), "--arrivals"
    ) as customerio:
        flags = ("--customerio-url", customerio.url, "--delivery-rate", "5000")
        servers = _Servers(flags)
        with servers, Client(servers.address) as client:
            killer = threading.Thread(target=servers.kill_now_and_then, args=(book, number))
            if kill:
                killer.start()
            try:
                _deliver_all(client, book, options, servers.enough)
            finally:
                servers.enough.set()
                if kill:
                    killer.join()
                    book.kills = len(servers.kills)
        book.compare(events_of(customerio.url))
        book.judge(arrivals_of(customerio.url), servers.kills)
    return book


def _deliver_all(
    client: Client, book: Book, options: StreamOptions, enough: threading.Event
) -> None:
    wanted = list(range(len(book.events)))
    while wanted:
        with client.stream(CONFIG, options, deliver=DeliveryOptions(timeout_s=60)) as stream:
            feeding = threading.Thread(target=_feed, args=(stream, book, wanted, enough))
            feeding.start()
            try:
                wanted = book.take(wanted, iter(stream))
            except KeyboardInterrupt:
                enough.set()
                raise
            feeding.join()
            book.reconnects += stream.reconnects


def _feed(stream: Any, book: Book, wanted: list[int], enough: threading.Event) -> None:
    try:
        for index in wanted:
            book.sent[index].sent.append(time.time())
            stream.send(book.events[index], index)
        stream.finish()
    except Exception:
        # After Ctrl-C, the stream is closed under this thread.
        if not enough.is_set():
            raise


class _Servers:
    """A sidecar on one address, which can be killed and restarted."""

    def __init__(self, flags: tuple[str, ...]) -> None:
        self._flags = flags
        self.address = f"127.0.0.1:{free_port()}"
        self._running = server("--listen", self.address, *flags)
        self.enough = threading.Event()
        self.kills: list[Fault] = []

    def __enter__(self) -> Self:
        self._server = self._running.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._running.__exit__(None, None, None)

    def kill_now_and_then(self, book: Book, number: int) -> None:
        """Kill the sidecar each time another fifth of the events was answered."""
        fifth = max(1, number // 5)
        for due in range(fifth, number, fifth):
            while sum(book.results.values()) < due:
                if self.enough.wait(0.05):
                    return
            began = time.time()
            self._server.signal(signal.SIGKILL)
            self._server.end()
            self._running.__exit__(None, None, None)
            self._running = server("--listen", self.address, *self._flags)
            self._server = self._running.__enter__()
            self.kills.append(Fault("kill", "sidecar", began, time.time()))


def main() -> int:
    """Run the soak, and print its results. Return 1 if anything was wrong."""
    options = parser_of("tests.soak.delivery", __doc__)
    options.add_argument(
        "--events", type=positive_int, default=100_000, help="100,000 unless given"
    )
    options.add_argument("--people", type=positive_int, default=5_000, help="5,000 unless given")
    options.add_argument("--seed", type=int, default=1, help="of people and faults; 1 unless given")
    options.add_argument(
        "--faults", type=_faults, default=FAULTS, help=f"of the sandbox; {FAULTS} unless given"
    )
    options.add_argument("--kill", action="store_true", help="kill the sidecar four times")
    chosen = options.parse_args()
    start = time.monotonic()
    book = run(chosen.events, chosen.people, chosen.seed, chosen.faults, kill=chosen.kill)
    print(
        f"{chosen.events:,} events of {chosen.people:,} people in {time.monotonic() - start:.0f} s,"
        f" {book.kills} kills, {book.reconnects} reconnects; {book.arrivals:,} arrivals, of which"
        f" {book.repeats:,} repeat an earlier one; results: {dict(book.results)}"
    )
    for fault in book.faults[:20]:
        print(fault, file=sys.stderr)
    print("FAILED" if book.faults else "passed: each event was delivered once, in order")
    return int(bool(book.faults))


def _faults(text: str) -> str:
    """Return a specification of the sandbox's faults, for `type=` of argparse."""
    try:
        read_faults(text)
    except BadFaults as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None
    return text


if __name__ == "__main__":
    exit_with(main)
