"""After a failure: whose events are blocked, and until when."""

import random

import pytest
from ciosidecar_server.delivery.outcomes import ItemRef
from ciosidecar_server.rpc import resend_gate
from ciosidecar_server.rpc.resend_gate import ResendGate


class Stream:
    """A caller's events by name, each with the keys in it: "ab1" has the keys a and b."""

    def __init__(self) -> None:
        self.gate = ResendGate()
        self._arrivals: dict[str, int] = {}
        self._sent = 0

    def send(self, name: str, workspace: str = "w", *, again: bool = False) -> int | None:
        """What an event must wait for, as the number of a sending; None if it may go."""
        self._sent += 1
        keys = {letter for letter in name if letter.isalpha()}
        arrival, cause = self.gate.admit(workspace, keys, hash(name), again=again)
        self._arrivals[name] = arrival
        if cause is None:
            return None
        self.fail(name, workspace)
        return cause.position

    def fail(self, name: str, workspace: str = "w") -> None:
        """An event that was sent last comes back, to be tried again."""
        keys = {letter for letter in name if letter.isalpha()}
        item_ref = ItemRef(0, self._sent)
        self.gate.add(workspace, keys, hash(name), self._arrivals[name], item_ref)


@pytest.fixture
def stream() -> Stream:
    """A stream on which `a1` was sent, and failed: it was sent first."""
    found = Stream()
    assert found.send("a1") is None
    found.fail("a1")
    return found


def test_whoever_shares_a_key_is_blocked(stream: Stream) -> None:
    """By any of its keys, directly or through an event that was blocked; others go."""
    assert stream.send("b1") is None
    assert stream.send("ac1") == 1
    assert stream.send("c1") == 3
    assert stream.send("a2") == 1


def test_what_comes_again_in_order_passes(stream: Stream) -> None:
    """The failed event and those that were blocked, each of them once; then everybody."""
    assert [stream.send("ac1"), stream.send("c1")] == [1, 2]
    assert [stream.send(name) for name in ("a1", "ac1", "c1", "c2", "a2")] == [None] * 5


def test_a_new_event_does_not_overtake_what_is_still_to_come_again(stream: Stream) -> None:
    """The failed one has come; the one that was blocked behind it has not."""
    assert stream.send("a2") == 1
    assert stream.send("a1") is None
    assert stream.send("a3") == 2
    assert [stream.send("a2"), stream.send("a3")] == [None, None]


def test_a_second_failure_blocks_what_came_too_early(stream: Stream) -> None:
    """The caller sent the blocked event again before it heard that the failed one failed again."""
    assert stream.send("a2") == 1
    assert stream.send("a1") is None
    stream.fail("a1")
    assert stream.send("a2") == 3
    assert [stream.send("a1"), stream.send("a2")] == [None, None]


def test_who_says_again_is_blocked_by_what_it_cannot_know_of(stream: Stream) -> None:
    """An event that is recognised knows of failures up to its own, whatever the caller says of earlier attempts."""
    assert stream.send("a2") == 1
    assert stream.send("a1", again=True) is None
    stream.fail("a1")
    assert stream.send("a2", again=True) == 3
    assert [stream.send("a1", again=True), stream.send("a2", again=True)] == [None, None]


def test_what_is_given_up_blocks_nobody_for_long(stream: Stream) -> None:
    """An event that comes again without the one it was blocked by passes, and all after it."""
    assert stream.send("a2") == 1
    assert [stream.send("a2"), stream.send("a3")] == [None, None]


def test_an_event_that_was_tried_elsewhere_passes(stream: Stream) -> None:
    """The caller says so: it knows of what failed, perhaps on a stream before this one."""
    assert stream.send("a9", again=True) is None
    assert stream.send("a3") is None


def test_a_workspace_is_blocked_by_its_own_failures_only(stream: Stream) -> None:
    """The same person and the same event, for another workspace, pass and open nothing."""
    assert stream.send("a1", "other") is None
    assert stream.send("a2") == 1


def test_what_is_remembered_is_bounded(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest failures are forgotten."""
    monkeypatch.setattr(resend_gate, "MAX_FAILURES", 10)
    for number in range(10):
        stream.send(f"b{number}")
        stream.fail(f"b{number}")
    assert stream.send("a2") is None
    assert stream.send("b99") is not None


def test_nothing_is_left_once_all_has_come_again() -> None:
    """Neither of the events nor of whom they are about."""
    stream = Stream()
    names = ["ab1", "bc2", "cd3"]
    for name in names:
        if stream.send(name) is None:
            stream.fail(name)
    for name in names:
        assert stream.send(name) is None
    assert not stream.gate._failed
    assert not stream.gate._by_key


@pytest.mark.parametrize("seed", range(20))
def test_a_caller_who_sends_again_in_order_is_taken_in_order(seed: int) -> None:
    """Whatever fails, when, and in whichever order that is noticed: who share a key go in their order."""
    dice = random.Random(seed)
    stream = Stream()
    queue = ["".join(dice.sample("abcd", dice.randint(1, 2))) + str(number) for number in range(60)]
    numbers = {name: number for number, name in enumerate(queue)}
    taken: list[str] = []
    rounds = 0
    while queue:
        rounds += 1
        assert rounds < 500
        back: set[str] = set()
        passed: list[str] = []
        for name in queue:
            if stream.send(name) is None:
                passed.append(name)
            else:
                back.add(name)
            if dice.random() < 0.2:
                back |= _settle(passed, taken, stream, dice)
        back |= _settle(passed, taken, stream, dice)
        queue = [name for name in queue if name in back]
    for key in "abcd":
        found = [numbers[name] for name in taken if key in name]
        assert found == sorted(found)


def _settle(passed: list[str], taken: list[str], stream: Stream, dice: random.Random) -> set[str]:
    """Some of what passed fails, and with it what waits for it; the rest is taken."""
    blocked: set[str] = set()
    failed = []
    for name in passed:
        keys = set(name) & set("abcd")
        if keys & blocked or dice.random() < 0.3:
            blocked |= keys
            failed.append(name)
        else:
            taken.append(name)
    passed.clear()
    for name in dice.sample(failed, len(failed)):
        stream.fail(name)
    return set(failed)
