"""Values of settings that cannot work: each is refused with its reason, and good ones are not."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_server.settings import Settings
from ciosidecar_server.settings_validation import (
    RULES,
    InvalidSettings,
    check_settings,
    wrong_settings,
)
from ciosidecar_server.testing import server

NAN, INF = float("nan"), float("inf")
COUNT = (0, -1, 2**31, 1.5, True, "5", None)
SECONDS_OVER_0 = (0.0, -1.0, 86_401.0, NAN, INF, -INF, True, "5", None)
FLAG = (0, 1, "true", None)
FILE = ("a.pem", Path(), 5)
REDIS_URL = (
    *(
        "",
        "127.0.0.1:6379",
        "http://a",
        "redis://",
        "redis:///0",
        "redis://a:0",
        "redis://a:70000",
        5,
    ),
    *(
        "redis://a/x",
        "redis://:p/w@a",
        "redis://a/0#x",
        "redis://a b",
        "unix://",
        "unix:///",
        "redis://[",
    ),
    *("redis://a?password=p", "redis://a?username=u", "rediss://a/0?db=1&password="),
)
URL = ("", "127.0.0.1:1", "http://a/path", "http://me:s3cret@a", "http://a:0", 5)

WRONG: dict[str, tuple[Any, ...]] = {
    "listen": ((), ("",), (" ",), "127.0.0.1:0", (5,), ("a:1", "a:1"), ("unix:/a", "unix:/a")),
    "tls_cert": FILE,
    "tls_key": FILE,
    "tls_client_ca": FILE,
    "auth_token_file": FILE,
    "insecure": FLAG,
    "socket_mode": (660,),
    "socket_group": (5,),
    "admin_listen": (5, None),
    "workers": (*COUNT[1:], 0, 1_025),
    "worker_start_timeout_s": SECONDS_OVER_0,
    "grace_s": (-0.1, 86_401.0, NAN, INF, -INF, True, "5", None),
    "max_batch_events": COUNT,
    "max_event_bytes": (*COUNT, 30),
    "max_message_bytes": (*COUNT, 10, 65_535),
    "max_destinations": COUNT,
    "max_outstanding_events": COUNT,
    "max_outstanding_bytes": (0, -1, 2**63, 1.5, True, "5", None),
    "connection_idle_s": SECONDS_OVER_0,
    "max_unary_bytes": (0, -1, 2**63, 1.5, True, "5", None),
    "delivery": FLAG,
    "delivery_rate": (0.0, -1.0, NAN, INF, 1_000_001.0, True, "5", None),
    "rate_store": REDIS_URL,
    "replicas": (0, -1, 100_001, 1.5, True, "5"),
    "delivery_concurrency": COUNT,
    "delivery_timeout_s": SECONDS_OVER_0,
    "request_timeout_s": SECONDS_OVER_0,
    "connect_timeout_s": SECONDS_OVER_0,
    "max_connections": COUNT,
    "http2": FLAG,
    "customerio_url": URL,
    "customerio_eu_url": URL,
    "destinations": FILE,
    "destination_defaults": FILE,
    "reflection": FLAG,
    "log_level": ("", "loud", "INFO", None),
    "log_format": ("", "xml", None),
    "metrics_destinations": COUNT,
    "tap_bodies": FLAG,
    "core_dumps": FLAG,
}
TOGETHER: dict[str, dict[str, Any]] = {
    "max_event_bytes": {"max_event_bytes": 70_000, "max_message_bytes": 70_000},
    "replicas": {"replicas": 4},
}
GOOD: list[dict[str, Any]] = [
    {},
    {"grace_s": 0.0},
    {"grace_s": 5},
    {"listen": ("127.0.0.1:0", "127.0.0.1:0", "unix:/a")},
    {"admin_listen": "none"},
    {"admin_listen": "[::1]:0"},
    {"delivery_rate": 0.001},
    {"rate_store": "redis://a"},
    {"rate_store": "rediss://user:p%2Fw@[::1]:6380/15?ssl_ca_certs=/ca.pem", "replicas": 4},
    {"rate_store": "unix:///run/redis.sock?db=1"},
    {"max_event_bytes": 31, "max_message_bytes": 65_536},
    {"tls_cert": Path("c.pem"), "tls_key": Path("k.pem"), "tls_client_ca": Path("ca.pem")},
    {"customerio_url": "http://[::1]:8089/"},
]


def test_every_setting_has_a_rule_and_wrong_values() -> None:
    """A new setting cannot be forgotten."""
    names = [field.name for field in fields(Settings)]
    assert list(RULES) == names
    assert sorted(WRONG) == sorted(names)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_with_its_setting(name: str, value: Any) -> None:
    """One reason, which names the setting and quotes no secret."""
    (wrong,) = wrong_settings(Settings(**{name: value}))
    assert wrong.name == name
    assert wrong.reason.startswith(("must ", "has "))
    assert "s3cret" not in wrong.reason


@pytest.mark.parametrize("name", TOGETHER)
def test_settings_that_contradict_each_other_are_refused(name: str) -> None:
    """Each is good by itself."""
    (wrong,) = wrong_settings(Settings(**TOGETHER[name]))
    assert wrong.name == name


@pytest.mark.parametrize("settings", GOOD, ids=str)
def test_good_values_are_taken(settings: dict[str, Any]) -> None:
    """The edges of what works."""
    check_settings(Settings(**settings))


def test_all_reasons_are_given_at_once() -> None:
    """Nobody mends one value to be told of the next."""
    with pytest.raises(InvalidSettings, match=r"grace_s .*; workers|workers .*; grace_s"):
        check_settings(Settings(workers=0, grace_s=-1.0))


def test_a_server_of_a_test_is_refused_the_same() -> None:
    """testing.server goes by the same rules."""
    with (
        pytest.raises(InvalidSettings, match="max_message_bytes must be at least 65536"),
        server(max_message_bytes=10),
    ):
        pass
