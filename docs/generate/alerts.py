"""Write the PrometheusRule of deploy/kubernetes from the alerts of deploy/prometheus.

python docs/generate/alerts.py deploy/kubernetes/components/monitoring/prometheusrule.yaml
"""

import argparse
import sys
from pathlib import Path

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yaml"
_HEAD = """\
# Generated from deploy/prometheus/alerts.yaml by make gen.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ciosidecar
spec:
"""


def resource() -> str:
    """Return the resource. Its spec is the file of alerts, moved to the right."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines()
    rules = lines[lines.index("groups:") :]
    return _HEAD + "".join(f"  {line}".rstrip() + "\n" for line in rules)


def main() -> None:
    """Write the resource, or with --check fail if the file is not up to date."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path)
    options.add_argument(
        "--check", action="store_true", help="write nothing; fail if the file is stale"
    )
    arguments = options.parse_args()
    if not arguments.check:
        arguments.file.write_text(resource(), encoding="utf-8")
    elif arguments.file.read_text(encoding="utf-8") != resource():
        sys.exit(f"{arguments.file} is stale; run make gen")


if __name__ == "__main__":
    main()
