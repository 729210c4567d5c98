"""Connections, which say what warehouse rows become: declared once, named by number."""

from typing import Any

import pytest
from ciosidecar import AsyncClient, Client, DeliveryOptions, StreamOptions
from ciosidecar import SourceConnection as Rows
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import async_server, server

from tests.client.both import CONFIG, TRACK, run_async, run_sync
from tests.client.scripted import Connection, scripted

both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])

PERSON = {"object": "person"}
EVENT = Rows(b'{"object": "event"}')
ROW = b'{"type":"record","action":"insert","identifiers":{"id":"u1","name":"Paid"}}'
MEMBER = b'{"type":"record","action":"insert","identifiers":{"id":"u1"}}'


def paths(answers: list[Any]) -> list[str]:
    """Where the requests of the answers go."""
    return [
        request.url.partition("customer.io")[2]
        for answer in answers
        for request in answer.result.requests
    ]


@both
def test_a_record_becomes_what_its_connection_says(run: Any) -> None:
    """The same row, once a person, once an event; another is a member of an audience."""
    audience = b'{"audienceId": 7, "identifierMappings": [{"to": "id"}]}'
    sends: list[Any] = [(ROW, {"connection": rows}) for rows in (PERSON, EVENT)]
    sends.append((MEMBER, {"connection": audience}))
    with server() as sidecar:
        answers, _ = run(sidecar.address, sends)
    assert paths(answers) == [
        "/api/v1/customers/u1",
        "/api/v1/customers/u1/events",
        "/api/v1/segments/7/add_customers?id_type=id",
    ]


@both
def test_connections_travel_once_however_many_records_name_them(run: Any) -> None:
    """Equal configs are one connection; events that are no records name none."""
    named: list[int] = []

    def script(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            named.extend(item.connection for item in batch.items)
            connection.answer(batch)

    sends: list[Any] = [(ROW, {"connection": dict(PERSON)}), (TRACK, {})] * 3
    sends.append((ROW, {"connection": EVENT, "tag": b"t"}))
    with scripted(script) as (address, sidecar):
        run(address, sends, StreamOptions(max_batch_events=2))
        assert sidecar.connections[0].connections == {
            1: b'{"object": "person"}',
            2: b'{"object": "event"}',
        }
        assert sidecar.connections[0].declared == {1: CONFIG}
    assert named == [1, 0, 1, 0, 1, 0, 2]


@both
def test_more_connections_than_the_server_keeps(run: Any) -> None:
    """Reference ids are assigned again, apart from those of destinations; each row has its own connection."""
    with server(max_destinations=3) as sidecar:
        sends = [
            (
                MEMBER,
                {
                    "connection": {"audienceId": 1 + index % 7},
                    "destination": {"siteID": f"site-{index % 5}", "apiKey": "key"},
                    "dont_batch": True,
                },
            )
            for index in range(105)
        ]
        answers, _ = run(sidecar.address, sends)
    assert [answer.result.status for answer in answers] == [200] * 105
    assert paths(answers) == [
        f"/api/v1/segments/{1 + index % 7}/add_customers?id_type=id" for index in range(105)
    ]
    headers = [answer.result.requests[0].headers["Authorization"] for answer in answers]
    assert len(set(headers)) == 5
    assert headers == headers[:5] * 21


@both
def test_records_are_delivered(run: Any) -> None:
    """A person is there, with the row's columns."""
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        sends = [(ROW, {"connection": PERSON})]
        ((_, result),), _ = run(sidecar.address, sends, deliver=DeliveryOptions())
        (person,) = sandbox.workspace.people.by_cio_id.values()
        assert (person.id, person.attributes["name"]) == ("u1", "Paid")
    assert (result.status, result.delivery.attempts) == (200, 1)


def test_one_batch_of_records() -> None:
    """`transform` and `map` take a connection for all their events."""
    with server() as sidecar, Client(sidecar.address) as client:
        (result,) = client.transform([ROW], CONFIG, connection=EVENT)
        assert result.requests[0].url.endswith("/customers/u1/events")
        with client.stream(CONFIG) as stream:
            answers = list(stream.map([ROW] * 3, connection=PERSON))
    assert paths(answers) == ["/api/v1/customers/u1"] * 3


async def test_one_batch_of_records_with_asyncio() -> None:
    """The same with the asynchronous client."""
    async with async_server() as sidecar, AsyncClient(sidecar.address) as client:
        (result,) = await client.transform([ROW], CONFIG, connection=EVENT)
        assert result.requests[0].url.endswith("/customers/u1/events")
        async with client.stream(CONFIG) as stream:
            answers = [answer async for answer in stream.map([ROW] * 3, connection=PERSON)]
    assert paths(answers) == ["/api/v1/customers/u1"] * 3


def test_a_connections_config_is_in_no_repr() -> None:
    """Its own name is."""
    assert repr(EVENT) == "SourceConnection()"
    assert Rows.of(EVENT) is EVENT
