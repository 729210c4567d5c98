"""Which events a destination does not want: device mode and consent. SPEC 11.3."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ..event import Event
from ..json_text import ABSENT, elements, members, text_of
from ..outcomes import FilterReason
from ..platforms import platform_of_name

Setting = Callable[[str], Any]
"""Called with a key of the config; answers its value, or None."""
Report = Callable[[str, str], None]
"""Called with a key and what is wrong with it."""
Complain = Callable[[str], None]
"""Called with what is wrong with the setting that is being read."""

_CONNECTION_MODES = ("cloud", "device", "hybrid")


class ConsentRule(Struct, frozen=True):
    """One entry of consentManagement: the consents that events of a provider need."""

    provider: str
    resolution_strategy: str
    consents: list[str]


class PerSource(Struct, frozen=True):
    """A setting that may differ by source type."""

    plain: Any = None
    """The value given for all, or None."""
    by_source: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return self.plain is not None or bool(self.by_source)

    def get(self, source_type: str | None) -> Any:
        """The value for a source type."""
        return self.plain if self.plain is not None else self.by_source.get(source_type or "")


class Filters(Struct, frozen=True):
    """What the user set up about who gets what."""

    connection_mode: PerSource = PerSource()
    use_native_sdk: PerSource = PerSource()
    consent_rules: PerSource = PerSource()
    one_trust_categories: PerSource = PerSource()
    ketch_purposes: PerSource = PerSource()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)

    def reason(self, event: Event, named_source_type: str) -> FilterReason | None:
        """Why the event is filtered, or None.

        named_source_type: what the caller says the source is; "" to go by the event's channel.
        """
        source_type = named_source_type or _source_type(event)
        if self._in_device_mode(source_type, named=bool(named_source_type)):
            return FilterReason.DEVICE_MODE
        if self._lacks_consent(event, source_type):
            return FilterReason.CONSENT
        return None

    def _in_device_mode(self, source_type: str | None, *, named: bool) -> bool:
        # A plain value speaks of every source type: it counts only where the caller knows his.
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
                return (all if strategy == "or" else any)(one in denied for one in rule.consents)
        categories = self.one_trust_categories.get(source_type)
        if provider in ("", "oneTrust") and categories:
            return any(one in denied for one in categories)
        purposes = self.ketch_purposes.get(source_type)
        if provider in ("", "ketch") and purposes:
            return all(one in denied for one in purposes)
        return False


def _source_type(event: Event) -> str | None:
    """What the event's channel says of its source, or None."""
    if event.channel == "web":
        return "web"
    if event.channel == "mobile":
        return platform_of_name(text_of(members(event.context.os).get("name", ABSENT)))
    return None


def read_filters(setting: Setting, report: Report) -> Filters:
    """The filters of a destination. What cannot be understood is reported and ignored."""
    return Filters(
        connection_mode=_per_source(setting, "connectionMode", _connection_mode, report),
        use_native_sdk=_per_source(setting, "useNativeSDK", _flag, report),
        consent_rules=_per_source(setting, "consentManagement", _consent_rules, report),
        one_trust_categories=_per_source(
            setting, "oneTrustCookieCategories", _texts_under("oneTrustCookieCategory"), report
        ),
        ketch_purposes=_per_source(
            setting, "ketchConsentPurposes", _texts_under("purpose"), report
        ),
    )


def _per_source(
    setting: Setting, key: str, read: Callable[[Any, Complain], Any], report: Report
) -> PerSource:
    def complain(text: str) -> None:
        report(key, f"{text} (11.3)")

    found = setting(key)
    if found is None:
        return PerSource()
    if not isinstance(found, dict):
        return PerSource(plain=read(found, complain))
    by_source = {
        source_type: read(one, complain) for source_type, one in found.items() if one is not None
    }
    return PerSource(
        by_source={source_type: one for source_type, one in by_source.items() if one is not None}
    )


def _connection_mode(found: object, complain: Complain) -> str | None:
    if not isinstance(found, str):
        complain("must be a text; it is ignored")
        return None
    if found not in _CONNECTION_MODES:
        # It is given, if not understood: it keeps useNativeSDK from counting, and filters nothing.
        complain(f"is none of {', '.join(_CONNECTION_MODES)}; nothing is filtered by it")
    return found


def _flag(found: object, complain: Complain) -> bool | None:
    if not isinstance(found, bool):
        complain("must be true or false; it is ignored")
        return None
    return found


def _entries(found: object, name: str, complain: Complain) -> list[Any] | None:
    """The entries of a list that have a member of a name; the others are complained of."""
    if not isinstance(found, list):
        complain("must be a list; it is ignored")
        return None
    entries = [one for one in found if isinstance(one, dict) and name in one]
    if len(entries) < len(found):
        complain(f'has entries without "{name}"; they are ignored')
    return entries


def _texts_under(name: str) -> Callable[[Any, Complain], list[str] | None]:
    """Reads [{name: text}, …], passing over blank texts, which the dashboard leaves behind."""

    def read(found: object, complain: Complain) -> list[str] | None:
        entries = _entries(found, name, complain)
        if entries is None:
            return None
        texts = [one[name] for one in entries]
        if not all(isinstance(text, str) for text in texts):
            complain(f'has entries whose "{name}" is no text; they are ignored')
        return [text for text in texts if isinstance(text, str) and text.strip()]

    return read


_read_consents = _texts_under("consent")


def _consent_rules(found: object, complain: Complain) -> list[ConsentRule] | None:
    entries = _entries(found, "consents", complain)
    if entries is None:
        return None
    rules = []
    for one in entries:
        texts = _read_consents(one["consents"], complain)
        provider, strategy = one.get("provider") or "", one.get("resolutionStrategy")
        if not isinstance(provider, str):
            complain("has entries whose provider is no text; they are ignored")
        elif texts:
            rules.append(
                ConsentRule(provider, strategy if isinstance(strategy, str) else "", texts)
            )
    return rules
