"""Write the PrometheusRule of deploy/kubernetes from the alerts of deploy/prometheus.

.venv/bin/python -m docs.generate.alerts deploy/kubernetes/components/monitoring/prometheusrule.yaml
"""

from pathlib import Path

from . import command

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


if __name__ == "__main__":
    command.run(__doc__, resource)
