"""Filters of a destination: device mode and consent. Rule 11.3."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ..event import Event
from ..json_text import ABSENT, elements, members, text_of
from ..outcomes import FilterReason
from ..platforms import platform_of_name

GetValue = Callable[[str], Any]
"""Return the value of a key of the config, or None."""
Report = Callable[[str, str], None]
"""Report a problem of a key: the key, and a message for people."""
ReportProblem = Callable[[str], None]
"""Report a problem of the setting that is being read: a message for people."""

_CONNECTION_MODES = ("cloud", "device", "hybrid")


class ConsentRule(Struct, frozen=True):
    """An entry of consentManagement: the consents that events of a provider need."""

    provider: str
    resolution_strategy: str
    consents: list[str]


class PerSource(Struct, frozen=True):
    """A setting that may differ by source type."""

    plain: Any = None
    """The value for all source types, or None."""
    by_source: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return self.plain is not None or bool(self.by_source)

    def get(self, source_type: str | None) -> Any:
        """Return the value for a source type, or None."""
        return self.plain if self.plain is not None else self.by_source.get(source_type or "")


class Filters(Struct, frozen=True):
    """The filters of a destination."""

    connection_mode: PerSource = PerSource()
    use_native_sdk: PerSource = PerSource()
    consent_rules: PerSource = PerSource()
    one_trust_categories: PerSource = PerSource()
    ketch_purposes: PerSource = PerSource()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)

    def reason(self, event: Event, named_source_type: str) -> FilterReason | None:
        """Return why the event is filtered, or None.

        Args:
            event: The event.
            named_source_type: The source type that the caller names, "" to go by the channel.
        """
        source_type = named_source_type or _source_type(event)
        if self._in_device_mode(source_type, named=bool(named_source_type)):
            return FilterReason.DEVICE_MODE
        if self._lacks_consent(event, source_type):
            return FilterReason.CONSENT
        return None

    def _in_device_mode(self, source_type: str | None, *, named: bool) -> bool:
        # A value for all source types counts only if the caller names the source type.
        mode, native = (
            setting.get(source_type) if named or setting.plain is None else None
            for setting in (self.connection_mode, self.use_native_sdk)
        )
        return bool(mode == "device" if mode is not None else native is True)

    def _lacks_consent(self, event: Event, source_type: str | None) -> bool:
        management = members(event.context.consent_management)
        denied = set(map(text_of, elements(management.get("deniedConsentIds", ABSENT))))
        denied -= {None, ""}
        if not denied:
            return False
        provider = text_of(management.get("provider", ABSENT)) or ""
        for rule in self.consent_rules.get(source_type) or ():
            if rule.provider == provider:
                strategy = rule.resolution_strategy
                if provider != "custom":
                    strategy = text_of(management.get("resolutionStrategy", ABSENT)) or ""
                are_denied = (consent in denied for consent in rule.consents)
                return all(are_denied) if strategy == "or" else any(are_denied)
        categories = self.one_trust_categories.get(source_type)
        if provider in ("", "oneTrust") and categories:
            return any(category in denied for category in categories)
        purposes = self.ketch_purposes.get(source_type)
        if provider in ("", "ketch") and purposes:
            return all(purpose in denied for purpose in purposes)
        return False


def _source_type(event: Event) -> str | None:
    """Return the source type by the event's channel, or None."""
    if event.channel == "web":
        return "web"
    if event.channel == "mobile":
        return platform_of_name(text_of(members(event.context.os).get("name", ABSENT)))
    return None


def read_filters(get_value: GetValue, report: Report) -> Filters:
    """Return the filters of a config. An invalid filter is reported and ignored."""
    return Filters(
        connection_mode=_per_source(get_value, "connectionMode", _connection_mode, report),
        use_native_sdk=_per_source(get_value, "useNativeSDK", _flag, report),
        consent_rules=_per_source(get_value, "consentManagement", _consent_rules, report),
        one_trust_categories=_per_source(
            get_value, "oneTrustCookieCategories", _texts_under("oneTrustCookieCategory"), report
        ),
        ketch_purposes=_per_source(
            get_value, "ketchConsentPurposes", _texts_under("purpose"), report
        ),
    )


def _per_source(
    get_value: GetValue, key: str, read: Callable[[Any, ReportProblem], Any], report: Report
) -> PerSource:
    def report_problem(text: str) -> None:
        report(key, f"{text} (rule 11.3)")

    setting = get_value(key)
    if setting is None:
        return PerSource()
    if not isinstance(setting, dict):
        return PerSource(plain=read(setting, report_problem))
    by_source = {
        source_type: read(json_value, report_problem)
        for source_type, json_value in setting.items()
        if json_value is not None
    }
    return PerSource(
        by_source={name: value for name, value in by_source.items() if value is not None}
    )


def _connection_mode(setting: object, report_problem: ReportProblem) -> str | None:
    if not isinstance(setting, str):
        report_problem("must be a text; it is ignored")
        return None
    if setting not in _CONNECTION_MODES:
        # An unknown mode filters nothing, but like any mode it takes precedence over useNativeSDK.
        report_problem(f"is none of {', '.join(_CONNECTION_MODES)}; nothing is filtered by it")
    return setting


def _flag(setting: object, report_problem: ReportProblem) -> bool | None:
    if not isinstance(setting, bool):
        report_problem("must be true or false; it is ignored")
        return None
    return setting


def _entries(setting: object, name: str, report_problem: ReportProblem) -> list[Any] | None:
    """Return the entries of a list that have a member of the name, and report the others."""
    if not isinstance(setting, list):
        report_problem("must be a list; it is ignored")
        return None
    entries = [entry for entry in setting if isinstance(entry, dict) and name in entry]
    if len(entries) < len(setting):
        report_problem(f'has entries without "{name}"; they are ignored')
    return entries


def _texts_under(name: str) -> Callable[[Any, ReportProblem], list[str] | None]:
    """Return a reader of [{name: text}, …] that ignores blank texts, which the dashboard adds."""

    def read(setting: object, report_problem: ReportProblem) -> list[str] | None:
        entries = _entries(setting, name, report_problem)
        if entries is None:
            return None
        texts = [entry[name] for entry in entries]
        if not all(isinstance(text, str) for text in texts):
            report_problem(f'has entries whose "{name}" is no text; they are ignored')
        return [text for text in texts if isinstance(text, str) and text.strip()]

    return read


_read_consents = _texts_under("consent")


def _consent_rules(setting: object, report_problem: ReportProblem) -> list[ConsentRule] | None:
    entries = _entries(setting, "consents", report_problem)
    if entries is None:
        return None
    rules = []
    for entry in entries:
        consents = _read_consents(entry["consents"], report_problem)
        provider, strategy = entry.get("provider") or "", entry.get("resolutionStrategy")
        if not isinstance(provider, str):
            report_problem("has entries whose provider is no text; they are ignored")
        elif consents:
            rules.append(
                ConsentRule(provider, strategy if isinstance(strategy, str) else "", consents)
            )
    return rules
