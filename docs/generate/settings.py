"""Write docs/operations/settings.md from the settings of `ciosidecar serve`.

.venv/bin/python -m docs.generate.settings docs/operations/settings.md
"""

from dataclasses import fields

from ciosidecar_server.cli.commands import app
from ciosidecar_server.cli.settings_report import shown_default
from ciosidecar_server.cli.settings_sources import keys, variables
from ciosidecar_server.settings import Settings
from cyclopts import Group
from cyclopts.argument import Argument

from . import command

_INTRODUCTION = """\
# Settings

This page is generated from the code. It describes the settings of `ciosidecar serve`, and the files of
`--destinations` and `--destination-defaults`. The settings of one destination are on
[destination.md](../destination.md).

## Where settings come from

Every setting is a flag, an environment variable and a key of a file. A flag wins over the environment, the
environment over the file, and the file over the default.

```toml
# /etc/ciosidecar/settings.toml
listen = ["127.0.0.1:50550", "unix:/run/ciosidecar/sidecar.sock"]
grace_s = 30
delivery_rate = 450
destinations = "/etc/ciosidecar/destinations.toml"
```

```sh
ciosidecar serve --settings /etc/ciosidecar/settings.toml
```

* The file is TOML. Its keys are the names below, also with `-` between words. A list is an array, or one value. A
  key that is no setting is an error, which names the line and the most similar setting. Paths are relative to the
  directory in which the sidecar starts.
* `CIOSIDECAR_SETTINGS` names the file too.
* Every name of a flag counts in the environment and in the file: `CIOSIDECAR_GRACE` is `CIOSIDECAR_GRACE_S`. Two
  names of one setting in one place are an error.
* A list in the environment has commas or blanks: `CIOSIDECAR_LISTEN="127.0.0.1:50550, unix:/run/sidecar.sock"`. A
  flag is `true` or `false`: `CIOSIDECAR_DELIVERY=false`. An empty variable counts as not set.
* A variable that begins with `CIOSIDECAR_` and is no setting of any command is reported in a line of the log, with
  the most similar name. The variables that Kubernetes adds for a Service named `ciosidecar` are not reported.
* `CIOSIDECAR_NATIVE` is no setting of `serve` alone: all commands read it. It is in the environment only
  ([install.md](../install.md#the-compiled-package)).
* A value that cannot work is refused with the reason, and the exit code is 2. Values of a wrong type, and values that
  are none of the choices, are refused first, and only the first such value is named. If there is none, the reasons
  for all values out of range are printed at once.

`serve --check` starts nothing. It checks the settings and the files that they name, and prints what is in effect
and where each value comes from. The output is a file of settings again. With `--json` it is one line of JSON. If
the settings or their files keep the sidecar from starting, the exit code is 2. Ports are not tried: `--check` also
works beside a running sidecar, and does not notice that another program has a port.

```sh
CIOSIDECAR_WORKERS=4 ciosidecar serve --check --grace 30
```

## All settings

"""

_DESTINATIONS = """\

## Destinations on the server's side

With `--destinations FILE` the sidecar knows destinations by name. A caller declares such a destination by its
`destination_ref` alone, without settings. So the caller never holds the keys.

```toml
# /etc/ciosidecar/destinations.toml
[destinations.shop]
siteID = "an-example-site-id"
apiKey = "env:SHOP_API_KEY"

[destinations."blog:eu"]
siteID = "another-site-id"
apiKey = "file:secrets/blog-api-key"
datacenter = "EU"
apiVersion = "v2"
deliver_only = true
```

```python
from ciosidecar import Client, Destination

with Client("127.0.0.1:50550") as client:
    answer = client.check(Destination.by_ref("shop"))
print(answer.usable)
```

```text
True
```

* The file is TOML or JSON: `{"destinations": {"shop": {"siteID": …}}}`. The keys are those of the dashboard's JSON
  ([destination.md](../destination.md)).
* A value `env:NAME` is that of an environment variable. A value `file:PATH` is the content of a file without its
  last line break; PATH is relative to the file of destinations. Both are texts, at any depth. If the variable or
  file is missing, that is an error, which names it.
* Every client has the declaration by ref: `Destination.by_ref` in Python, `DestinationByRef` in Go,
  `Destination.byRef` in TypeScript and Java. In the contract it is a `Destination` with `destination_ref` and
  without settings. If a declaration has settings, they hold, and the ref is a name only.
* If no destination has the ref, the declaration has a fatal problem with the key `destination_ref`. Its events are
  rejected with `INVALID_DESTINATION` and status 400. Other destinations of the stream are not affected.
* Anyone who can call the sidecar can use every ref. To limit who can call it, use a token, mTLS or the permissions
  of a unix socket.

`deliver_only = true` keeps the credentials of a destination from callers. Without it, a call that does not deliver
returns requests that the caller can send, so they contain the Authorization header. With it, such calls are
rejected with `INVALID_DESTINATION`, and the requests of `include_requests` have no Authorization header.

### Changes

The sidecar looks at the file, and at the files that it refers to, every second. It reads them again after a
change, and on SIGHUP. A variable of the environment keeps the value of the start.

* The new settings take effect all at once. Streams stay open: batches that arrive afterwards use the new settings,
  without a new declaration. A batch that has begun keeps the old ones.
* If a file cannot be used, or one of its destinations is unusable, the sidecar logs an error once and keeps
  everything as it was. At the start this is an error with exit code 2.
* An empty file is such an error, because a full disk leaves one: read, it would remove every destination. For no
  destinations, write `[destinations]`.
* Each file must be a regular one. A named pipe, such as a shell's `<(…)`, could not be read again.
* A key that is no setting of a destination is ignored. For each, the log has a warning with the most similar setting,
  at the start and after a change: 20 warnings at most, then the number of the others. `serve --check` prints the same
  on stderr, and with `--json` as `notes` and `more_notes`; the exit code stays 0.

`ciosidecar check` validates a file before the sidecar reads it. It prints the problems by destination and key,
also keys that are no settings. `--ref` chooses one destination, and `--probe` asks Customer.io about the
credentials:

```sh
ciosidecar check --destinations /etc/ciosidecar/destinations.toml --ref shop
```

With `--target` and `--ref` alone, it asks a running sidecar about a destination that it knows:

```sh
ciosidecar check --target 127.0.0.1:50550 --ref shop
```

### Defaults for every destination

`--destination-defaults FILE` has settings that a dashboard does not have. They hold for every destination that
does not set the key itself, whether a caller declares it or the file of destinations has it.

```toml
# /etc/ciosidecar/defaults.toml
apiVersion = "v2"
identifyFallback = "email"
```

* The file is TOML or JSON. A key that is no setting of a destination is an error, and so is a wrong value.
  `siteID` and `apiKey` have no default: a destination whose key was forgotten would send to another workspace.
* A key that is `null` counts as not set. If a destination has any of the keys of the region (`datacenter`,
  `region`, `datacenterEU`), the default of the region does not hold.
* A field of `DestinationSettings` that has its zero value counts as not set: `false` cannot be told from nothing. A
  caller that must override a default with `false` declares the destination as `config_json`.
* The file is read again with the file of destinations. A destination that a caller declared before keeps the
  defaults of that time.
"""

_HEADER = ("| flag | environment | key | default | meaning |", "|---|---|---|---|---|")


def page() -> str:
    """Return the page as Markdown."""
    names = {field.name for field in fields(Settings)}
    arguments = app["serve"].assemble_argument_collection(
        default_parameter=app.default_parameter, parse_docstring=True
    )
    tables: dict[str, list[str]] = {}
    for argument in arguments:
        if argument.name.removeprefix("--").replace("-", "_") in names:
            tables.setdefault(_group(argument), [*_HEADER]).append(_row(argument))
    sections = [f"### {name}\n\n" + "\n".join(table) + "\n" for name, table in tables.items()]
    return _INTRODUCTION + "\n".join(sections) + _DESTINATIONS


def _group(argument: Argument) -> str:
    groups = argument.parameter.group
    assert isinstance(groups, tuple)  # noqa: S101 - cyclopts has converted it
    (group,) = groups
    assert isinstance(group, Group)  # noqa: S101 - as above
    return group.name


def _row(argument: Argument) -> str:
    flags = [name for name in argument.names if name.startswith("--")]
    underscored = [key for key in keys(argument) if "-" not in key]
    default = shown_default(argument.field_info.default)
    cells = [
        "<br>".join(f"`{flag}`" for flag in flags),
        "<br>".join(f"`{variable}`" for variable in variables(argument)),
        "<br>".join(f"`{key}`" for key in underscored),
        f"`{default}`" if default else "",
        " ".join((argument.parameter.help or "").split()).replace("|", "\\|"),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    command.run(__doc__, page)
