"""Write docs/destination.md from the table of settings.

.venv/bin/python -m docs.generate.destination docs/destination.md
"""

from textwrap import fill

from ciosidecar_transform.settings.dynamic import MAX_CACHED, MAX_VALUE_BYTES
from ciosidecar_transform.settings.table import SETTINGS, Setting

from . import command

_WIDTH = 110
_INTRODUCTION = """\
# Settings of a destination

A destination is a Customer.io workspace with its settings. The settings are the JSON object that the
RudderStack dashboard keeps, with additional keys of ciosidecar. In the contract they are also the fields of
`DestinationSettings`. Only the credentials are required:

```json
{"siteID": "an-example-site-id", "apiKey": "an-example-api-key"}
```

This page is generated from the table by which the server reads settings. The rules are those of
[rules.md](rules.md).

* `null` counts as missing. Keys that are not on this page are ignored; `ciosidecar check` lists them, each with
  the most similar setting. If a setting has two names and the config has both, the first one counts.
* If a value is not one of those listed, or has another type, the destination is unusable: every event for it is
  rejected with `INVALID_DESTINATION`. The error names the key and the choices, never the value. The filters (rule
  11.3) are the exception: an invalid filter is reported and ignored, so it cannot block delivery. So is
  `userIdIdentifierType` with `apiVersion` `v1`, where it has no effect.
* Combinations that cannot work make the destination unusable too: `phoneAsIdentifier` with `apiVersion` `v1`;
  `datacenter` `US` with `datacenterEU` `true`; `semanticEvents` with a `deviceTokenEventName` that is the name of
  a semantic event.
* `ciosidecar check --config destination.json` and the RPC `CheckDestination` list the problems, by key.
"""

_DYNAMIC = f"""\
## Settings that depend on the event

Any value, credentials too, may hold a template: `{{{{ path || default }}}}` (rule 13.1). It is filled in from
each event, so that one destination can serve many workspaces:

```json
{{"siteID": "{{{{ context.workspace.site || 'an-example-site-id' }}}}",
 "apiKey": "{{{{ context.workspace.key || 'an-example-api-key' }}}}",
 "datacenter": "{{{{ context.workspace.region || EU }}}}"}}
```

* The path starts at the event: `context.workspace.site`, `properties.items[0].sku`. A `message.` or `event.` in
  front of the path has no effect.
* The default is in single quotes, in double quotes, or without quotes. It is used if the event has no value,
  `null` or `""` at the path. Without a default, such an event is rejected with `INVALID_DESTINATION`.
* If the value of a setting is one template and nothing else, it becomes the event's value: `true` stays a boolean,
  a number becomes text, an object or array stays one. With other text around it, the value is filled in as text.
* A template is filled in once. If the event's value is a template again, or has more than {MAX_VALUE_BYTES:,}
  bytes, the event is rejected with `INVALID_DESTINATION`.
* A value that fills a template is taken out of the event before the event becomes a request, so that a key never
  becomes an attribute. To send the value as well, put it into the event a second time, under another name.
* `env.` references in credentials are not resolved.

Such a destination can be declared like any other, and a remark of `CheckDestination` names each key that
depends on the event.
The server caches the destinations of the last {MAX_CACHED} combinations of values.
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = [
        f"| [`{setting.key}`](#{setting.key.lower()}) | {_cell(setting.values)} | {setting.default} |"
        for setting in SETTINGS
    ]
    parts = [
        _INTRODUCTION,
        "\n".join(["| key | values | default |", "|---|---|---|", *rows]) + "\n",
        _DYNAMIC,
        *map(_section, SETTINGS),
    ]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _wrapped(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _section(setting: Setting) -> str:
    facts = [f"* values: {setting.values}", f"* default: {setting.default}"]
    if setting.also:
        facts.append(f"* other names: {', '.join(f'`{name}`' for name in setting.also)}")
    if setting.typed:
        facts.append(f"* in `DestinationSettings`: `{setting.typed}`")
    facts.append(f"* rule: {setting.rule}")
    meaning, reason = map(_wrapped, (setting.meaning, f"*Why change it:* {setting.reason}"))
    return f"## {setting.key}\n\n{meaning}\n\n{reason}\n\n" + "\n".join(facts) + "\n"


if __name__ == "__main__":
    command.run(__doc__, page)
