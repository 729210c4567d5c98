"""What callers see if no sidecar is healthy, a certificate is missing, or a message is too large."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1

from tests.conftest import UNLIMITED
from tests.polyglot.languages import LANGUAGES

from .callers import Caller, calling, finish, stream_on
from .fleet import CONFIG, now
from .judging import Faults, problems
from .standing import Standing, cluster, standing

# The programs may have to be built first.
pytestmark = [pytest.mark.usefixtures("_drivers"), pytest.mark.timeout(900)]

OUTAGE_S = 4.0
# Clients wait 5 s at most between two attempts. With Health/Watch sent on to the sidecars, it was 6 to 8 s.
BACK_WITHIN_S = 5.5
MB = 1 << 20


@contextlib.contextmanager
def stub(stands: Standing, caller: str = "caller") -> Iterator[Any]:
    """Yield the stubs alone: nothing is retried but by Envoy."""
    files = {
        name: Path(path).read_bytes()
        for name, path in stands.certificates.caller_files(caller).items()
    }
    credentials = grpc.ssl_channel_credentials(
        files["ca_file"], files["key_file"], files["certificate_file"]
    )
    options = [*UNLIMITED, ("grpc.enable_retries", 0)]
    with grpc.secure_channel(stands.address, credentials, options=options) as channel:
        yield v1.SidecarServiceStub(channel)


def failure_of(call: Callable[..., Any], request: Any) -> tuple[grpc.StatusCode, str]:
    """Return the status that a unary call fails with."""
    with pytest.raises(grpc.RpcError) as failure:
        call(request, timeout=60)
    error: Any = failure.value
    return error.code(), error.details()


def batch(*events: bytes) -> v1.Batch:
    """A batch for the only destination."""
    return v1.Batch(batch_id=1, destination=1, items=[v1.BatchItem(json=text) for text in events])


DESTINATIONS = [v1.Destination(reference_id=1, config_json=CONFIG.encode())]


def test_without_a_healthy_sidecar_calls_fail_at_once_and_streams_come_back(
    tmp_path: Path,
) -> None:
    """After an outage, every caller is back within the longest pause of its client, and no event is lost."""
    with standing(tmp_path) as stands:
        faults = Faults()
        with calling(stands.opening()) as callers:
            # What a caller waits for on this machine, with nothing in its way.
            usual_s = {caller.name: caller.record.longest_gap_s() for caller in callers}
            with faults.fault():
                for sidecar in stands.fleet.sidecars:
                    sidecar.end(signal.SIGKILL)
                began = now()
                stands.envoy.wait_until_healthy(0)
                with stub(stands) as raw:
                    code, details = failure_of(raw.GetCapabilities, v1.GetCapabilitiesRequest())
                assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
                # Streams that give up say what Envoy said.
                short = {"connect_timeout_ms": 2000, "options": {"reconnect_for_ms": 2000}}
                newcomer = Caller(LANGUAGES[0], stands.opening(**short), "newcomer")
                try:
                    end = newcomer.wait_for_end()
                finally:
                    newcomer.stop()
                assert end["end"] == "UNAVAILABLE"
                assert "no healthy upstream" in end["message"]
                time.sleep(max(0.0, began + OUTAGE_S - now()))
                for sidecar in stands.fleet.sidecars:
                    sidecar.start()
                stands.envoy.wait_until_healthy(3)
                back = now()
                stream_on(callers, 20)
            finish(callers)
        found = problems(callers, stands.fleet.arrivals(), faults)
    assert not found, "\n".join(found[:20])
    for caller in callers:
        first = min(at for at in caller.record.answered_at if at > back)
        assert first - back < BACK_WITHIN_S + usual_s[caller.name], caller.name


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """What the tests share that end no sidecar."""
    with standing(tmp_path_factory.mktemp("envoy") / "all") as found:
        yield found


def test_a_caller_without_a_known_certificate_is_turned_away(stands: Standing) -> None:
    """Clients of all languages end with UNAVAILABLE in their time limit. Envoy counts the failures."""
    without = {
        "addresses": [stands.address],
        "ca_file": stands.certificates.file("sidecars-ca.pem"),
    }
    strange = {"addresses": [stands.address], **stands.certificates.caller_files("stranger")}
    callers = [
        Caller(language, opening | {"connect_timeout_ms": 1500})
        for opening in (without, strange)
        for language in LANGUAGES
    ]
    try:
        ends = [(caller.name, caller.wait_for_end()) for caller in callers]
    finally:
        for caller in callers:
            caller.stop()
    assert {end.get("end") for _, end in ends} == {"UNAVAILABLE"}, ends
    assert not any(caller.record.answers for caller in callers)
    handshakes = stands.envoy.counters("listener.")
    assert sum(count for name, count in handshakes.items() if "fail_verify" in name) > 0


def test_messages_of_many_megabytes_pass(stands: Standing) -> None:
    """The buffers of Envoy are no limit to a message, also where Envoy may try again."""
    text = "x" * 900_000
    event = b'{"type":"track","userId":"1","event":"a","properties":{"text":"%s"}}' % text.encode()
    request = v1.TransformRequest(destinations=DESTINATIONS, batch=batch(*[event] * 44))
    assert request.ByteSize() > 37 * MB
    with stub(stands) as raw:
        response = raw.Transform(request, timeout=60)
    assert len(response.results.statuses) == 44


def test_a_message_above_the_sidecars_limit_is_refused_by_the_sidecar(stands: Standing) -> None:
    """Envoy passes the status on, and does not try again elsewhere."""
    request = v1.TransformRequest(
        destinations=DESTINATIONS, batch=batch(*[b'"%s"' % (b"x" * MB)] * 65)
    )
    with stub(stands) as raw:
        code, details = failure_of(raw.Transform, request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED, details
    assert "67108864" in details


def test_a_wrong_health_service_leaves_no_sidecar(tmp_path: Path) -> None:
    """The sidecars answer NOT_FOUND to the health check; Envoy's admin port says so."""

    def misspelt(configuration: dict[str, Any]) -> None:
        check = cluster(configuration)["health_checks"][0]
        check["grpc_health_check"]["service_name"] = "ciosidecar.v1.Sidecar"

    with standing(tmp_path, change=misspelt) as stands:
        stands.envoy.wait_for_failed_checks(3)
        with stub(stands) as raw:
            code, details = failure_of(raw.GetCapabilities, v1.GetCapabilitiesRequest())
        assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
        assert [host["health_status"] for host in stands.envoy.hosts()] == [
            {"failed_active_health_check": True, "eds_health_status": "HEALTHY"}
        ] * 3


def test_a_delivery_is_never_repeated_and_a_transform_is(tmp_path: Path) -> None:
    """A sidecar that dies with a Deliver leaves UNAVAILABLE to the caller; other calls find another sidecar."""
    with standing(tmp_path, sandbox=("--fault", "hang=1")) as stands, stub(stands) as raw:
        request = v1.DeliverRequest(
            destinations=DESTINATIONS,
            batch=batch(b'{"type":"track","userId":"1","event":"a","messageId":"m"}'),
        )
        delivering = raw.Deliver.future(request, timeout=60)
        stands.busy_sidecar().end(signal.SIGKILL)
        assert delivering.exception(timeout=60).code() is grpc.StatusCode.UNAVAILABLE
        transform = v1.TransformRequest(
            destinations=DESTINATIONS, batch=batch(b'{"type":"track","userId":"1","event":"a"}')
        )
        for _ in range(10):
            raw.Transform(transform, timeout=60)
        lines = stands.envoy.access_log(at_least=11)
    attempts = {line["call"].rpartition("/")[2]: line["attempts"] for line in lines}
    assert attempts["Deliver"] == 1
