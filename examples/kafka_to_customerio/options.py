"""The options of the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ciosidecar import Destination, Tls

_DESCRIPTION = """\
Read RudderStack events from Kafka and deliver them to Customer.io through a sidecar.

The program is a member of a consumer group. Start as many as the topics have partitions, at most.
An offset is committed only when every event before it was delivered, was filtered, or is in the
dead-letter topic. So every event arrives at least once, also if this program, the sidecar or Kafka
is killed. Events of one partition that share a person arrive in order.
"""
_EPILOG = """\
examples:
  A sidecar on this host, a Kafka without TLS:

    %(prog)s --bootstrap-servers localhost:9092 --topic events --dead-letter-topic events-refused \\
        --group customerio --config destination.json

  Two sidecars with TLS and a token, a destination that the sidecars know, a Kafka with TLS and SASL:

    %(prog)s --kafka-settings kafka.properties --topic events --dead-letter-topic events-refused \\
        --group customerio --destination-ref shop \\
        --target 10.0.0.1:50550 --target 10.0.0.2:50550 --tls-ca ca.pem --token-file token

  kafka.properties, with the settings of librdkafka, one on each line:

    bootstrap.servers=broker-1:9093,broker-2:9093
    security.protocol=SASL_SSL
    sasl.mechanism=SCRAM-SHA-512
    sasl.username=customerio
    sasl.password=...
    consumer.session.timeout.ms=30000
    producer.compression.type=zstd

what becomes of a record:
  delivered, or filtered by the destination    done
  refused by the sidecar or by Customer.io     written to the dead-letter topic, then done
  retryable failure                            its partition pauses, then sends what is not done again
  no value (a tombstone)                       skipped and counted

exit codes:
  0  ended by SIGTERM or Ctrl-C, after a last commit. A second one ends the program at once
  1  Kafka, a topic or the sidecar cannot be used; the last line on stderr says what to do
  2  the command line, a file or a setting is wrong

docs/kafka.md says how to choose keys, what is guaranteed, and how to send refused events again.
"""


class UnusableOption(Exception):
    """An option whose value cannot work. The text says why."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options, checked."""

    topics: tuple[str, ...]
    dead_letter_topic: str
    destination: Destination
    consumer_settings: dict[str, Any] = field(repr=False)
    producer_settings: dict[str, Any] = field(repr=False)
    targets: tuple[str, ...]
    tls: Tls | None
    token_file: str | None
    max_outstanding_events: int
    max_outstanding_bytes: int
    max_tries: int | None
    max_pause_s: float
    delivery_timeout_s: float | None
    commit_every_s: float
    report_every_s: float
    finish_within_s: float


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Return the options of the command line. End with exit code 2 if they cannot work."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return _checked(given)
    except (UnusableOption, OSError) as fault:
        parser.error(str(fault))


def _checked(given: argparse.Namespace) -> Options:
    settings, only = _read_settings(given.kafka_settings) if given.kafka_settings else ({}, {})
    if given.bootstrap_servers:
        settings["bootstrap.servers"] = given.bootstrap_servers
    if "bootstrap.servers" not in settings:
        raise UnusableOption(
            "name a broker: --bootstrap-servers, or bootstrap.servers in --kafka-settings"
        )
    if given.dead_letter_topic in given.topic:
        raise UnusableOption(
            "--dead-letter-topic must not be a topic that is read: its events would be refused for ever"
        )
    consumer = {**settings, **only.get("consumer", {}), "group.id": given.group}
    if consumer.get("enable.auto.commit", "false") != "false":
        raise UnusableOption(
            "enable.auto.commit would commit events that were not delivered: leave it out"
        )
    if given.config is not None:
        destination = Destination(given.config.read_bytes(), given.destination_ref or "")
    elif given.destination_ref:
        destination = Destination.by_ref(given.destination_ref)
    else:
        raise UnusableOption("name the destination: --config FILE or --destination-ref NAME")
    return Options(
        topics=tuple(given.topic),
        dead_letter_topic=given.dead_letter_topic,
        destination=destination,
        consumer_settings=consumer,
        producer_settings={**settings, **only.get("producer", {})},
        targets=tuple(given.target or ("127.0.0.1:50550",)),
        tls=Tls(root_certificates=given.tls_ca.read_bytes()) if given.tls_ca else None,
        token_file=given.token_file,
        max_outstanding_events=given.max_outstanding_events,
        max_outstanding_bytes=given.max_outstanding_bytes,
        max_tries=given.max_tries,
        max_pause_s=given.max_pause_s,
        delivery_timeout_s=given.delivery_timeout_s,
        commit_every_s=given.commit_every_s,
        report_every_s=given.report_every_s,
        finish_within_s=given.finish_within_s,
    )


def _read_settings(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the settings for both, and those for the consumer or the producer only."""
    both: dict[str, Any] = {}
    only: dict[str, dict[str, Any]] = {"consumer": {}, "producer": {}}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = (part.strip() for part in line.partition("="))
        if not separator:
            raise UnusableOption(f"{path}:{number}: a setting is written as name=value")
        side, _, rest = name.partition(".")
        if side in only:
            only[side][rest] = value
        else:
            both[name] = value
    return both, only


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kafka_to_customerio",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kafka = parser.add_argument_group("Kafka")
    kafka.add_argument(
        "--bootstrap-servers", metavar="HOST:PORT,…", help="brokers to ask for all others"
    )
    kafka.add_argument(
        "--kafka-settings",
        type=Path,
        metavar="FILE",
        help="settings of librdkafka as name=value, such as TLS and SASL; the prefixes consumer. and"
        " producer. limit a setting to one of the two",
    )
    kafka.add_argument(
        "--topic", action="append", required=True, help="topic with events in JSON; repeatable"
    )
    kafka.add_argument("--group", required=True, help="consumer group, whose offsets are committed")
    kafka.add_argument(
        "--dead-letter-topic",
        metavar="TOPIC",
        required=True,
        help="topic for events that are refused, with the reason in headers; it must exist",
    )
    sidecar = parser.add_argument_group("sidecar and destination")
    sidecar.add_argument(
        "--target",
        action="append",
        metavar="ADDRESS",
        help="address of a sidecar (127.0.0.1:50550); repeatable: partitions share several",
    )
    sidecar.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="CA of the sidecar; enables TLS"
    )
    sidecar.add_argument(
        "--token-file", metavar="FILE", help="file with the sidecar's bearer token"
    )
    sidecar.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings of the destination, as in the dashboard",
    )
    sidecar.add_argument(
        "--destination-ref",
        metavar="NAME",
        help="name of the destination; alone, one that the sidecar knows",
    )
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument(
        "--max-outstanding-events",
        type=_positive(int),
        default=4_000,
        metavar="N",
        help="events that are read and not done, over all partitions (%(default)s)",
    )
    bounds.add_argument(
        "--max-outstanding-bytes",
        type=_positive(int),
        default=64 << 20,
        metavar="N",
        help="their size (%(default)s)",
    )
    bounds.add_argument(
        "--max-tries",
        type=_positive(int),
        metavar="N",
        help="retryable failures after which an event goes to the dead-letter topic (no limit: its"
        " partition waits)",
    )
    for name, default, what in (
        (
            "delivery-timeout",
            None,
            "time limit of one delivery, retries of the sidecar included (the sidecar's own)",
        ),
        (
            "max-pause",
            30.0,
            "longest pause of a partition, unless Customer.io asks for more (%(default)g)",
        ),
        ("commit-every", 1.0, "interval of commits (%(default)g)"),
        ("report-every", 10.0, "interval of the line of counts (%(default)g)"),
        (
            "finish-within",
            10.0,
            "time to finish events when a partition moves or the program ends (%(default)g)",
        ),
    ):
        bounds.add_argument(
            f"--{name}-s", type=_positive(float), default=default, metavar="S", help=what
        )
    return parser


def _positive(kind: type[int] | type[float]) -> Any:
    def number(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("must be above 0")
        return value

    return number
