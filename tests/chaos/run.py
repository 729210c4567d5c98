"""One run of chaos: callers, proxy, sidecars, sandbox, a schedule of faults, and the checker's verdict."""

import random
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trustme
from ciosidecar import Tls

from tests.chaos import proxy, sidecars
from tests.chaos.books import Arrival, Books
from tests.chaos.callers import LAST_ROUNDS_S, Caller, start
from tests.chaos.checker import Verdict, check
from tests.chaos.events import Plan
from tests.chaos.probes import Probes
from tests.chaos.proxy import Proxy
from tests.chaos.sidecars import Sidecars
from tests.sandbox.support import sandbox_process
from tests.security.pem import Files

REQUEST_TIMEOUT_S = 4.0
EVENTS_A_SECOND = 120.0
SANDBOX_FAULTS = (
    "429=0.1",
    "503=0.1",
    "500=0.05,504=0.05",
    "reset=0.05",
    "reset-after=0.05",
    "slow=0.1:1s",
    "slow=0.02:6s",
    "hang=0.01",
    "html502=0.05",
    "207=0.1",
    "400=0.05",
    "422=0.05",
    "503=0.4",
    "408=0.05",
    "401=0.02",
)
CALLERS = (
    ("one", "a", "v1", "stream"),
    ("two", "a", "v1", "stream"),
    ("three", "b", "v2", "stream"),
    ("four", "b", "v2", "stream"),
    ("five", "c", "v1", "calls"),
    ("six", "d", "v2", "calls"),
    ("seven", "e", "v1", "prepared"),
    ("eight", "f", "v1", "stream"),
)
"""Name, group of people, API version, and how they send."""


@dataclass(slots=True)
class Outcome:
    """Everything that a run found."""

    books: Books
    verdict: Verdict
    injected: Counter[str]
    results: Counter[str]
    lost: int
    """The number of times that the sending of an event ended without a result."""
    events: int
    sent: int
    arrivals: int
    reconnects: int

    @property
    def problems(self) -> list[str]:
        """Return what went wrong beside the rules, as the books have it."""
        return self.books.problems


@dataclass(slots=True)
class Progress:
    """What a run shows while it goes."""

    left_s: float
    events: int
    results: int
    arrivals: int
    faults: int


@dataclass(slots=True)
class Run:
    """One run: `go` returns its outcome. `enough` ends it early, in order."""

    seconds: float
    seed: int
    events_a_second: float = EVENTS_A_SECOND
    show: Callable[[Progress], None] = lambda _progress: None
    enough: threading.Event = field(default_factory=threading.Event)
    _arrivals: list[Arrival] = field(default_factory=list)
    _next_after: int = 0

    def go(self) -> Outcome:
        """Run, and check the books."""
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            authority = trustme.CA()
            ca = directory / "ca.pem"
            authority.cert_pem.write_to_path(str(ca))
            files = Files(directory).write(authority.issue_cert("localhost", "127.0.0.1"))
            flags = ("--arrivals", "--keep", "50000", "--seed", str(self.seed), *files.flags)
            sandbox = stack.enter_context(sandbox_process(*flags, process_group=0))
            admin = stack.enter_context(
                httpx.Client(
                    base_url=sandbox.url,
                    verify=ssl.create_default_context(cafile=str(ca)),
                    timeout=30,
                )
            )
            between = stack.enter_context(Proxy())
            host, _, port = sandbox.url.removeprefix("https://").rpartition(":")
            customerio = between.link("customerio", (host, int(port)))
            serving = stack.enter_context(
                Sidecars(
                    (
                        *files.flags,
                        *("--customerio-url", f"https://127.0.0.1:{customerio.port}"),
                        *("--delivery-rate", "1000", "--grace", "5", "--connect-timeout-s", "2"),
                        *("--request-timeout-s", str(REQUEST_TIMEOUT_S), "--log-level", "error"),
                    ),
                    {"SSL_CERT_FILE": str(ca)},
                )
            )
            probes = stack.enter_context(Probes(between, sandbox.url, serving, ca))
            callers = self._callers(between, serving, ca)
            threads = start(callers)
            injected = self._inject(between, serving, admin, callers)
            self._finish(threads, callers, admin)
        # The proxy notes a fault when its connection ends, the last ones with the proxy.
        faults = [*serving.faults, *(f for link in between.links.values() for f in link.faults)]
        events = [event for caller in callers for event in caller.book]
        problems = [problem for caller in callers for problem in caller.problems]
        problems += serving.bad_ends
        books = Books(events, self._arrivals, faults, REQUEST_TIMEOUT_S, probes.starved, problems)
        return Outcome(
            books=books,
            verdict=check(books),
            injected=injected,
            results=sum((caller.results for caller in callers), Counter()),
            lost=sum(caller.lost for caller in callers),
            events=len(events),
            sent=sum(len(event.sent) for event in events),
            arrivals=len(self._arrivals),
            reconnects=sum(caller.reconnects for caller in callers),
        )

    def _callers(self, between: Proxy, serving: Sidecars, ca: Path) -> list[Caller]:
        dice = random.Random(self.seed)
        tls = Tls.from_files(str(ca))
        stop = threading.Event()
        found, links = [], []
        for name, group, api_version, how in CALLERS:
            link = between.link(name, serving.upstream)
            links.append(link)
            plan = Plan(name, group, api_version, random.Random(dice.random()), how == "prepared")
            found.append(
                Caller(
                    plan=plan,
                    how=how,
                    address=f"127.0.0.1:{link.port}",
                    tls=tls,
                    dice=random.Random(dice.random()),
                    stop=stop,
                    events_a_second=self.events_a_second / len(CALLERS),
                )
            )
        serving.lead(links)
        return found

    def _inject(
        self, between: Proxy, serving: Sidecars, admin: httpx.Client, callers: list[Caller]
    ) -> Counter[str]:
        """Inject faults at random until the time is over."""
        dice = random.Random(self.seed + 1)
        injected: Counter[str] = Counter()
        # A new client gives up if no sidecar answers for 10 s; later it tries for longer.
        while not all(caller.ended or caller.problems for caller in callers):
            self.enough.wait(0.1)
        ended = [0] * len(callers)
        until = time.monotonic() + self.seconds
        while (left_s := until - time.monotonic()) > 0 and not self.enough.is_set():
            what = dice.choices(("customerio", "caller", "sandbox", "sidecar"), (10, 4, 3, 1))[0]
            # Without an end of some event of each caller in between, a slow machine would run nothing else.
            if what == "sidecar" and any(
                caller.ended == before for caller, before in zip(callers, ended, strict=True)
            ):
                continue
            kind = self._inject_one(what, dice, between, serving, admin)
            if what == "sidecar":
                ended = [caller.ended for caller in callers]
            if kind:
                injected[kind] += 1
            self._collect(admin)
            self.show(self._progress(left_s, callers, injected))
            self.enough.wait(min(dice.uniform(0.1, 1.0), max(left_s, 0)))
        admin.put("/sandbox/faults", json={"spec": ""}).raise_for_status()
        between.calm()
        return injected

    def _inject_one(
        self,
        what: str,
        dice: random.Random,
        between: Proxy,
        serving: Sidecars,
        admin: httpx.Client,
    ) -> str:
        if what == "sandbox":
            spec = ",".join(dice.sample(SANDBOX_FAULTS, dice.randrange(4)))
            wait_s = dice.choice((None, None, 0, 1))
            settings = {
                "spec": _merged(spec),
                "seed": dice.randrange(1000),
                "retry_after_s": wait_s,
            }
            admin.put("/sandbox/faults", json=settings).raise_for_status()
            return "sandbox: other faults"
        if what == "sidecar":
            kind = dice.choice(sidecars.KINDS)
            serving.inject(kind, dice, self.enough)
            return f"sidecar: {kind}"
        kind = dice.choice(proxy.KINDS)
        link = what if what == "customerio" else dice.choice(CALLERS)[0]
        return f"{what}: {kind}" if between.inject(link, kind, dice) else ""

    def _finish(
        self, threads: list[threading.Thread], callers: list[Caller], admin: httpx.Client
    ) -> None:
        """Let the callers finish what they sent, without faults."""
        for caller in callers:
            caller.stop.set()
        until = time.monotonic() + LAST_ROUNDS_S
        for thread in threads:
            while thread.is_alive() and time.monotonic() < until:
                thread.join(1)
                self._collect(admin)
        for thread, caller in zip(threads, callers, strict=True):
            if thread.is_alive():
                caller.problems.append(
                    f"{caller.plan.stream}: no last results in {LAST_ROUNDS_S:.0f} s"
                )
                caller.give_up.set()
        while self._collect(admin) and time.monotonic() < until + 10:
            time.sleep(0.2)

    def _collect(self, admin: httpx.Client) -> int:
        """Take the arrivals so far. Return the number of requests that have no answer yet."""
        while True:
            query = {"after": self._next_after, "limit": 1000}
            page = admin.get("/sandbox/arrivals", params=query).raise_for_status().json()
            if page["forgotten"] > self._next_after:
                raise RuntimeError("the sandbox forgot arrivals: it keeps too few")
            self._arrivals += map(Arrival.read, page["arrivals"])
            self._next_after = page["next_after"]
            if len(page["arrivals"]) < 1000:
                return int(page["open"])

    def _progress(self, left_s: float, callers: list[Caller], injected: Counter[str]) -> Progress:
        return Progress(
            left_s,
            sum(len(caller.book) for caller in callers),
            sum(caller.results.total() for caller in callers),
            len(self._arrivals),
            injected.total(),
        )


def _merged(spec: str) -> str:
    """Return a specification that names each fault once: the last one counts."""
    named = dict(part.split("=", 1) for part in spec.split(",") if part)
    return ",".join(f"{name}={rest}" for name, rest in named.items())
