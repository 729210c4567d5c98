"""The rate of one workspace that several sidecars share: tokens are leased in small blocks, ahead of need."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from .clock import Clock, Timer
from .rate_limiter import LOWERING, RateLimiter, least_fraction
from .rate_store import Lease, LeaseRequest
from .shared_rates import SharedRates

SPAN_S = 0.05
"""The time that a block of tokens lasts while all sidecars ask for as much as they get."""
_MAX_SPAN_S = 0.2
KEPT_S = 1.0
"""How long unused tokens are kept before they are given back."""
_NEWS_S = 0.25
"""The time between two exchanges for the sake of news alone, while the rate is lowered and requests succeed."""
_IDLE_NEWS_S = 2.0
"""The same while no request is sent."""
_STALE_S = 600.0
_SPAN_GROWTH = 1.25
_SPAN_DECAY = 0.8
_GROWTH = 4
_PATIENCE_S = 1.0
"""What a request waits for at most before it is looked at again: it is woken when tokens come."""
_SOON_S = 0.001
_OWN_RETRY_S = 2.0
"""How long a workspace does without the store after an error that concerns this workspace alone."""


class _Block(NamedTuple):
    tokens: int
    start: float


_NO_BLOCK = _Block(0, 0.0)


class SharedRateLimiter:
    """A limit of requests a second that the sidecars of a rate store keep together.

    A request takes a token that was leased before. When half of a block is used, the next one is leased. A request after
    a quiet time goes on credit of one token, so that no request waits for the store unless many come at once. While the
    store is away, the limit is this sidecar's share of the rate, kept as without a store.
    """

    def __init__(
        self,
        rates: SharedRates,
        workspace: str,
        rate_per_s: float,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """Begin without tokens.

        Args:
            rates: the rate store.
            workspace: the name of the workspace in the store.
            rate_per_s: the full rate of all sidecars together.
            clock: the time of requests.
            wake: called when a request that waits may perhaps go.
        """
        self._rates = rates
        self._workspace = workspace
        self._full_rate = rate_per_s
        self._clock = clock
        self._wake = wake
        self._least_fraction = least_fraction(rate_per_s)
        self._fraction = 1.0
        self._fallback: RateLimiter | None = None
        self._own_retry_at = 0.0
        self._held = 0
        """The tokens in hand; negative after a request on credit."""
        self._next = _NO_BLOCK
        self._block = 1
        self._returned = 0
        self._used_at = clock.time()
        self._asked_at = self._told_at = self._used_at
        self._used = 0
        """The tokens that were used since tokens were last asked for."""
        self._exchanging = False
        self._ask_again = False
        self._waiting = False
        self._span_s = SPAN_S
        self._lowered_at = self._succeeded_at = self._throttled_at = -math.inf
        self._news_succeeded = self._news_throttled = False
        self._timer: Timer | None = None

    @property
    def rate_per_s(self) -> float:
        """Return the rate that holds now: of all sidecars together, or this sidecar's own while the store is away."""
        if self._fallback is not None:
            return self._fallback.rate_per_s
        return self._full_rate * self._fraction

    @property
    def full_rate_per_s(self) -> float:
        """Return the full rate of all sidecars together."""
        return self._full_rate

    @property
    def lowered(self) -> bool:
        """Return whether a 429 has lowered the rate."""
        if self._fallback is not None:
            return self._fallback.lowered
        return self._fraction < 1.0

    @property
    def refilled(self) -> bool:
        """Return whether no request is on credit that a new limit would give again. After ten minutes none counts."""
        if self._fallback is not None:
            return self._fallback.refilled
        if self._clock.time() - self._used_at >= _STALE_S:
            return True
        return self._held >= 0

    def wait_s(self) -> float:
        """Return how long until a request may go; 0 if a request may go now."""
        if self._fallback is not None:
            return self._fallback.wait_s()
        if self._held > 0:
            return 0.0
        if self._next.tokens:
            wait_s = max(0.0, self._next.start - self._clock.time())
            return wait_s if self._held + self._next.tokens > 0 else max(wait_s, _SOON_S)
        return 0.0 if self._held == 0 and not self._exchanging else _PATIENCE_S

    def reserve(self) -> None:
        """Take a token for a request. `wait_s` MUST have returned 0 before."""
        self._waiting = False
        if self._fallback is not None:
            self._fallback.reserve()
            self._leave_fallback()
            return
        now = self._used_at = self._clock.time()
        self._merge(now)
        self._held -= 1
        self._used += 1
        if not self._next.tokens and self._held <= self._block // 2:
            self._exchange(now)
        self._watch(now + KEPT_S)

    def on_waiting(self) -> None:
        """Lease tokens, because a request waits for one."""
        if self._fallback is not None:
            self._leave_fallback()
            return
        now = self._clock.time()
        self._merge(now)
        if self._held <= 0:
            self._waiting = True
            if not self._next.tokens:
                self._exchange(now)

    def on_success(self) -> None:
        """Raise a lowered rate, because a request was accepted."""
        if self._fallback is not None:
            self._fallback.on_success()
            return
        now = self._succeeded_at = self._clock.time()
        self._news_succeeded = True
        if self.lowered and now - self._told_at > _NEWS_S:
            self._exchange(now, news_only=True)

    def on_throttled(self, sent_at: float) -> None:
        """Lower the rate of all sidecars, because a request was answered 429. sent_at: when it was sent."""
        if self._fallback is not None:
            self._fallback.on_throttled(sent_at)
            return
        if sent_at < self._lowered_at:
            return
        now = self._clock.time()
        self._throttled_at = max(self._throttled_at, sent_at)
        self._news_throttled = True
        if not self.lowered:
            # The store decides; until it answers, the rate shows as lowered.
            self._fraction = max(self._least_fraction, self._fraction * LOWERING)
        self._exchange(now, news_only=True)

    def _merge(self, now: float) -> None:
        """Take the next block in hand if its time has come."""
        if self._next.tokens and self._next.start <= now:
            self._held += self._next.tokens
            self._next = _NO_BLOCK

    def _exchange(self, now: float, *, news_only: bool = False) -> None:
        """Exchange news with the store, and lease the next block."""
        if self._exchanging:
            self._ask_again = self._ask_again or news_only
            return
        if not self._rates.up or now < self._own_retry_at:
            self._fall_back()
            return
        wanted = 0
        if not (news_only or self._next.tokens):
            elapsed_s = max(now - self._asked_at, 0.001)
            wanted = math.ceil(2.0 * self._span_s * self._used / elapsed_s)
            if self._waiting:
                wanted = max(wanted, _GROWTH * self._block)
            wanted = max(1, wanted) + max(0, -self._held)
            self._used = 0
            self._asked_at = now
        request = LeaseRequest(
            workspace=self._workspace,
            wanted=wanted,
            returned=self._returned,
            rate_per_s=self._full_rate,
            span_s=self._span_s,
            fraction=self._fraction,
            least_fraction=self._least_fraction,
            success_age_s=now - self._succeeded_at if self._news_succeeded else None,
            throttled_age_s=now - self._throttled_at if self._news_throttled else None,
        )
        self._told_at = now
        self._returned = 0
        self._news_succeeded = self._news_throttled = False
        self._exchanging = True
        self._rates.run(self._rates.lease(request, partial(self._leased, now)))

    def _leased(self, asked_at: float, lease: Lease | None) -> None:
        """Take what an exchange brought."""
        self._exchanging = False
        if lease is None:
            if self._rates.up:
                self._own_retry_at = self._clock.time() + _OWN_RETRY_S
            self._fall_back()
            return
        now = self._clock.time()
        if lease.start_in_s:
            self._span_s = max(SPAN_S, self._span_s * _SPAN_DECAY)
        elif self._waiting and now - asked_at > SPAN_S / 2.0:
            # The store had tokens and was too slow: it is asked for more at a time.
            self._span_s = min(_MAX_SPAN_S, self._span_s * _SPAN_GROWTH)
        self._lowered_at = now - lease.lowered_age_s
        self._fraction = lease.fraction
        if lease.tokens:
            self._block = lease.tokens
            self._next = _Block(lease.tokens, now + lease.start_in_s)
            self._watch(now + lease.start_in_s + KEPT_S)
        if self._ask_again:
            self._ask_again = False
            self._exchange(now, news_only=True)
        if self._waiting:
            self._wake()

    def _fall_back(self) -> None:
        """Keep to this sidecar's share, without the store."""
        if self._fallback is None:
            share = self._full_rate / self._rates.sidecars
            self._fallback = RateLimiter(share, self._clock.time, fraction=self._fraction)
        self._held, self._next, self._block, self._returned = 0, _NO_BLOCK, 1, 0
        self._ask_again = False
        if self._waiting:
            self._wake()

    def _leave_fallback(self) -> None:
        """Use the store again if it is up."""
        now = self._clock.time()
        if self._fallback is None or not self._rates.up or now < self._own_retry_at:
            return
        self._fraction = self._fallback.rate_per_s / self._fallback.full_rate_per_s
        self._fallback = None
        self._waiting = True
        self._exchange(now)

    def _watch(self, at: float) -> None:
        """Look at a time whether tokens are unused, or news is missing."""
        if self._timer is None:
            self._timer = self._clock.call_at(at, self._look)

    def _look(self) -> None:
        """Give unused tokens back, and ask for news of a lowered rate."""
        self._timer = None
        if self._fallback is not None:
            return
        now = self._clock.time()
        unused_at = max(self._used_at, self._next.start) + KEPT_S
        if now < unused_at:
            self._watch(unused_at)
            return
        self._merge(now)
        if self._held > 0:
            self._returned += self._held
            self._held = 0
        if self._returned or self.lowered:
            self._exchange(now, news_only=True)
        if self.lowered and now - self._used_at < _STALE_S:
            self._watch(now + _IDLE_NEWS_S)
