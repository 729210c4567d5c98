"""Configs of destinations and connections: every key of the table of settings, right and wrong."""

import json

from ciosidecar_transform.settings.table import SETTINGS, Setting
from hypothesis import strategies as st

from .strategies import some
from .values import ANYTHING, VALUES, Json, Strategy, joined, text, texts_of, written_as

_TEMPLATES = texts_of(
    "{{ userId }}",
    "{{ traits.plan || 'x' }}",
    "{{ type }}",
    "{{ properties.name || true }}",
    "a{{ context.traits.email || b }}c",
    "{{ traits.id || 'v2' }}",
    "{{ properties }}",
    "{{ context.externalId[0].id || '' }}",
    "{{ a b }}",
    "env.KEY",
)
_CONSENTS = {
    "consentManagement": '[{"provider":"custom","resolutionStrategy":"or","consents":[{"consent":"ads"}]}]',
    "oneTrustCookieCategories": '[{"oneTrustCookieCategory":"ads"}]',
    "ketchConsentPurposes": '{"web":[{"purpose":"ads"}]}',
    "connectionMode": '{"web":"device","cloud":"cloud"}',
    "useNativeSDK": '{"android":true}',
}


def _right(setting: Setting) -> Strategy:
    if setting.kind in ("choice", "identifier"):
        return texts_of(*setting.choices)
    values: dict[str, Strategy] = {
        "credential": texts_of("site", "key", "é:"),
        "region": texts_of("US", "eu", ""),
        "older region": written_as("true", "false"),
        "name": texts_of("Token", "Paid", ""),
        "flag": written_as("true", "false"),
        "names": written_as('["when","plan"]', '["createdAt"]', "[]"),
        "filter": written_as(_CONSENTS.get(setting.key, "null"), "{}", "[]"),
    }
    return values[setting.kind]


_VALID = {setting.key: _right(setting) for setting in SETTINGS if setting.kind != "credential"}
_CREDENTIALS = [('"siteID"', '"site"'), ('"apiKey"', '"key"')]


@st.composite
def _usable(draw: st.DrawFn, leave_out: tuple[str, ...] = ()) -> Json:
    names = [name for name in sorted(_VALID) if name not in leave_out]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
    if "apiVersion" in names and "apiVersion" not in chosen:
        chosen.append("apiVersion")
    return joined([*_CREDENTIALS, *((text(name), draw(_VALID[name])) for name in chosen)])


@st.composite
def _any_config(draw: st.DrawFn) -> Json:
    names = [name for setting in SETTINGS for name in setting.names]
    members = list(_CREDENTIALS)
    for name in draw(st.lists(st.sampled_from(names), max_size=8)):
        right = next(_right(setting) for setting in SETTINGS if name in setting.names)
        value = draw(st.one_of(right, right, right, _TEMPLATES, texts_of("v2", "X"), ANYTHING))
        members.append((text(name), value))
    return joined(members)


USABLE_CONFIGS = _usable().map(str.encode)
"""Configs whose settings all have valid values. A few contradict each other."""
ANY_CONFIGS = st.one_of(_usable(), _any_config(), _any_config(), VALUES).map(
    lambda config: config.encode("utf-8", "surrogatepass")
)


def usable_configs(*leave_out: str) -> st.SearchStrategy[bytes]:
    """Return usable configs without some settings."""
    return _usable(leave_out=leave_out).map(str.encode)


def clockless(config: bytes) -> bytes:
    """Return the config without the fallback by which an identify holds the server's time (rule 4.5)."""
    return json.dumps(json.loads(config) | {"createdAtFallback": "none"}).encode()


_AUDIENCES = some(
    {
        "audienceId": written_as("23", '"23"', "0", '"x"', "18446744073709551615", "1.0"),
        "identifierMappings": written_as(
            '[{"to":"email"}]', '[{"to":"id"}]', '[{"to":"cio_id"}]', "{}"
        ),
    }
)
CONNECTIONS = st.one_of(
    written_as(
        *['{"object":"person"}', '{"object":"event"}'] * 4, '{"destination":{"object":"Person"}}'
    ),
    _AUDIENCES,
).map(lambda config: config.encode("utf-8", "surrogatepass"))
SOURCE_TYPES = st.sampled_from(["", "web", "android", "ios", "cloud", "\u0000"])
