"""A caller that is gone while its message is read: what was not submitted by then is never sent."""

from ciosidecar import v1
from grpc import aio

from tests.delivery.caller import caller, track
from tests.fake_customerio import fake_customerio
from tests.processes import server

EVENTS = 10_000


async def test_a_message_ends_with_its_caller() -> None:
    """One person's events are no further ahead than the first ones: a later one would have overtaken those dropped."""
    async with fake_customerio() as customerio:
        arguments = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url)
        with server(*arguments, "--delivery-rate", "1000") as sidecar:
            async with aio.insecure_channel(sidecar.addresses[0]) as channel:
                stub = v1.SidecarServiceStub(channel)
                async with caller(stub) as lost:
                    await lost.send(1, *(track(f"E{number}") for number in range(EVENTS)))
                    # A message of this size is submitted in a hundred turns; the first event goes after the first turn.
                    await customerio.arrived(1)
                    await lost.vanish()
                async with caller(stub) as other:
                    # The same person's: it goes when nothing of the lost caller is left.
                    await other.send(1, track("last"))
                    assert (await other.told(1)).status == 200
        names = customerio.names
    assert names == [*(f"E{number}" for number in range(len(names) - 1)), "last"]
    assert len(names) < EVENTS
