"""Metrics of all workers as those of one sidecar."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_ADDED_UP = frozenset({"counter", "histogram", "summary"})
# Of these gauges the workers' sum has no meaning.
_GREATEST = (
    "_info",
    "_max_fds",
    "ciosidecar_workspaces",
    "ciosidecar_workspaces_in_other_region",
    "ciosidecar_rate_store_sidecars",
)
_LEAST = (
    "_start_time_seconds",
    "_created",
    "ciosidecar_rate_store_up",
    "ciosidecar_certificate_not_after_seconds",
)

_SampleKey = tuple[str, tuple[tuple[str, str], ...]]
_Families = dict[str, Metric]


def merge(exposition: Iterable[_Families]) -> _Families:
    """Merge families of metrics: counters, histograms and most gauges are added up.

    The greatest value is taken of versions, of limits, and of the workspaces by state: a workspace is not two because two
    workers send to it. The least is taken of start times, of the time at which a certificate expires, and
    of whether the rate store is up. A label set that only some of them have stays as it is.
    """
    merged: _Families = {}
    values: dict[str, dict[_SampleKey, float]] = defaultdict(dict)
    for families in exposition:
        for name, family in families.items():
            merged.setdefault(name, Metric(name, family.documentation, family.type))
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                known = values[name].get(key)
                together = _join(family.type, sample.name)
                values[name][key] = (
                    sample.value if known is None else together((known, sample.value))
                )
    for name, family in merged.items():
        family.samples = [Sample(key, dict(pairs), v) for (key, pairs), v in values[name].items()]
    return merged


def _join(kind: str, name: str) -> Callable[[Iterable[float]], float]:
    if name.endswith(_LEAST):
        return min
    if kind not in _ADDED_UP and name.endswith(_GREATEST):
        return max
    return sum


def parse(exposition: bytes) -> _Families:
    """Read metrics in the text format.

    Raises:
        ValueError: They are malformed.
    """
    return {family.name: family for family in text_string_to_metric_families(exposition.decode())}


def _counts_of(families: _Families) -> _Families:
    return {name: family for name, family in families.items() if family.type in _ADDED_UP}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last metrics of one process."""

    pid: int
    families: _Families


class MetricsSum:
    """The sum over the workers' lives.

    A process that died takes its counters with it. Its last known counts are kept, because a sum that falls would look
    like a restart of the whole sidecar, and Prometheus would count the other workers' events twice.
    """

    def __init__(self) -> None:
        self._ended: _Families = {}
        self._seen: dict[int, _Seen] = {}

    def update(self, number: int, pid: int | None, families: _Families | None) -> None:
        """Note the metrics of a worker.

        Args:
            number: The number of the worker.
            pid: The process that runs; None if none does.
            families: The metrics of the process; None if it did not answer. The last known counts then stay.
        """
        seen = self._seen.get(number)
        if seen is not None and (pid is None or seen.pid != pid):
            self._ended = merge([self._ended, _counts_of(seen.families)])
            del self._seen[number]
            seen = None
        if pid is None:
            return
        if families is None:
            families = {} if seen is None else _counts_of(seen.families)
        self._seen[number] = _Seen(pid, families)

    def collect(self, own: _Families) -> Iterator[Metric]:
        """Return the sum, as a collector of prometheus_client does.

        Args:
            own: Metrics of the parent, by name: its memory and processor time are part of the sum.
        """
        merged = merge([self._ended, own, *(seen.families for seen in self._seen.values())])
        return iter(merged.values())
