"""Write docs/destination.md from the table of settings.

python docs/generate/destination.py docs/destination.md
"""

import argparse
import sys
from pathlib import Path
from textwrap import fill

from ciosidecar_transform.settings.dynamic import MAX_KEPT, MAX_VALUE_BYTES
from ciosidecar_transform.settings.table import SETTINGS, Setting

_WIDTH = 110
_INTRODUCTION = """\
# Settings of a destination

A destination is a Customer.io workspace and how you want to talk to it. Its settings are the JSON object that
the RudderStack dashboard keeps, with keys of our own beside the dashboard's; or the same as fields of
`DestinationSettings` in the contract. Only the credentials are required:

```json
{"siteID": "an-example-site-id", "apiKey": "an-example-api-key"}
```

This page is made from the table that the server reads settings by. Numbers such as 11.1 are those of
[rules.md](rules.md).

* `null` counts as not given. Keys that are not on this page are ignored; `ciosidecar check` names each,
  and the setting that may be meant. If a setting has two names and both are given, the first counts.
* If a value is not one of those listed, or has another type, the destination is unusable. Every event for it is
  then `INVALID_DESTINATION`. The text names the key and the choices, never the value. The filters (those of rule
  11.3) are the exception: an invalid filter is reported and ignored, so it cannot block delivery. So is
  `userIdIdentifierType` with `apiVersion` `v1`, where it has no effect.
* Combinations that cannot work are refused in the same way: `phoneAsIdentifier` with `apiVersion` `v1`,
  `datacenter` `US` with `datacenterEU` `true`, and with `semanticEvents` a `deviceTokenEventName` that is one of
  its names.
* `ciosidecar check --config destination.json`, or the call `CheckDestination`, says what is wrong, by key.
"""

_DYNAMIC = f"""\
## Settings that depend on the event

Any value, credentials too, may hold a template: `{{{{ path || default }}}}` (13.1). It is filled in from each
event, so that one destination can serve many workspaces:

```json
{{"siteID": "{{{{ context.workspace.site || 'an-example-site-id' }}}}",
 "apiKey": "{{{{ context.workspace.key || 'an-example-api-key' }}}}",
 "datacenter": "{{{{ context.workspace.region || EU }}}}"}}
```

* The path leads from the event: `context.workspace.site`, `properties.items[0].sku`. `message.` or `event.` in
  front of it changes nothing.
* The default stands in single quotes, in double quotes, or bare. It counts where the event has nothing, `null` or
  `""` at the path. Without a default, such an event is `INVALID_DESTINATION`.
* A value that is nothing but one template becomes what the event has there: `true` stays a boolean, a number
  becomes text, an object or array stays one. With more text around it, it is filled in as text.
* A value is filled in once: if what the event has there is a template again, the event is
  `INVALID_DESTINATION`. So it is where the event has more than {MAX_VALUE_BYTES:,} bytes there.
* What filled a template is taken out of the event before it becomes a request: a key never becomes an attribute.
  A value that is to be sent as well must also be elsewhere in the event.
* `env.` references in credentials are not resolved here.

Such a destination is usable when it is declared, and `CheckDestination` notes which keys depend on the event.
What the settings came to is kept for the {MAX_KEPT} combinations of values seen last.
"""


def page() -> str:
    """Return the page, as Markdown."""
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


def main() -> None:
    """Write the page, or with --check fail if the page is stale."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path)
    options.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    chosen = options.parse_args()
    if not chosen.check:
        chosen.file.write_text(page(), encoding="utf-8")
    elif chosen.file.read_text(encoding="utf-8") != page():
        sys.exit(f"{chosen.file} is stale; run make gen")


if __name__ == "__main__":
    main()
