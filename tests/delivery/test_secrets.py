"""Credentials, bodies and user ids stay out of logs and of error texts, whatever goes wrong."""

import logging

import pytest
from ciosidecar import v1

from tests.conftest import Connect
from tests.delivery.caller import CONFIG, CONFIG_V2, Told, caller, group, identify, put, track
from tests.fake_customerio import (
    GONE,
    HOLD,
    Answer,
    Raw,
    Reply,
    fake_customerio,
)

SECRETS = (
    "a-secret-key",
    "c2l0ZTphLXNlY3JldC1rZXk",
    "u-somebody",
    "somebody@",
    "private-text",
    "reason-text",
)
REASON = b'{"errors": [{"reason": "reason-text"}, {"batch_index": 77, "reason": "reason-text"}]}'
FOR_LONG = {"Retry-After": "300"}


FAULTS: dict[str, Answer] = {
    "refused": Reply(400, REASON),
    "failing": Reply(503, REASON, FOR_LONG),
    # Without Retry-After, which would hold back what comes after it.
    "throttled": Reply(429, REASON),
    "elsewhere": Reply(302, REASON, FOR_LONG | {"Location": "http://127.0.0.1:1/u-somebody"}),
    "silent": HOLD,
    "closed": GONE,
    "garbage": Raw(b"HTTP/1.1 private-text\r\n\r\n"),
    "fine": Reply(200),
}


@pytest.mark.parametrize("config", [CONFIG, CONFIG_V2], ids=["v1", "v2"])
async def test_no_log_and_no_text_quotes_them(
    connect: Connect, caplog: pytest.LogCaptureFixture, config: bytes
) -> None:
    """A run with every kind of failure, every logger at DEBUG."""
    url = "https://track.customer.io/api/v1/customers/u-somebody-0"
    elsewhere = "https://private-text.example/u-somebody"
    told: list[Told] = []
    with caplog.at_level(logging.DEBUG):
        async with fake_customerio() as customerio:
            stub = await connect(customerio_url=customerio.url, request_timeout_s=0.3)
            async with caller(stub, config) as one:
                for batch_id, (name, answer) in enumerate(FAULTS.items(), 1):
                    customerio.answers(then=answer)
                    properties = {"text": "private-text"}
                    event = track(name, f"u-somebody-{name}", properties=properties)
                    await one.send(batch_id, event, timeout_s=0.4)
                    told += await one.told_all(batch_id)
                customerio.answers(Reply(207, REASON), then=Reply(401, REASON))
                await one.send(20, *(group(f"u-somebody-{each}", "g") for each in "ab"))
                told += await one.told_all(20)
                await one.send(21, identify("u-somebody-x", email="somebody@private-text.example"))
                await one.send(
                    22, v1.BatchItem(prepared=put(url)), v1.BatchItem(prepared=put(elsewhere))
                )
                told += [*await one.told_all(21), *await one.told_all(22)]
    assert {each.status for each in told} >= {200, 400, 429, 503, 504}
    assert caplog.records
    texts = [record.getMessage() + str(record.exc_info) for record in caplog.records]
    texts += [each.detail.error.message for each in told]
    texts += [warning.message for each in told for warning in each.detail.warnings]
    assert [text for text in texts if any(secret in text for secret in SECRETS)] == []
