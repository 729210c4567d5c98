"""The calls about forms and about sent messages."""

from typing import Any

from ..identifiers import Identifier
from ..outcome import Effect, Outcome, applied, dropped
from ..sent_json import encode
from ..workspace import Form, Metric, Workspace
from .identify import identify
from .tracking import track

RESERVED_FORM_KEYS = frozenset(["form_id", "form_name", "form_type", "form_url", "form_url_param"])


def submit_form(
    workspace: Workspace, form_id: str, who: Identifier, fields: dict[str, str]
) -> Effect:
    """Create the form if it is new, identify the person, and count the submission."""
    form = workspace.forms.get(form_id)
    new = form is None
    if form is None:
        form = workspace.forms[form_id] = Form(form_id)
        if len(workspace.forms) > workspace.keep:
            workspace.forms.popitem(last=False)
    form.submissions += 1
    fields = {name: value for name, value in fields.items() if name not in RESERVED_FORM_KEYS}
    effect = identify(workspace, who, fields)
    if not effect.person or effect.outcome is Outcome.DROPPED:
        return effect
    track(workspace, Identifier("cio_id", effect.person), "form", form_id, encode(fields))
    if new and not effect.reason:
        return applied(effect.person, ["a form connection was created"])
    return effect


def report_metric(
    workspace: Workspace, delivery_id: str, metric: str, timestamp: Any, recipient: str
) -> Effect:
    """Record what happened to a message. The sandbox has no messages to check it against."""
    remarks: list[str] = []
    at = workspace.time_of(timestamp, remarks)
    workspace.metrics.append(Metric(workspace.clock(), at, delivery_id, metric, recipient))
    return applied("", remarks)


def unsubscribe(delivery_id: str) -> Effect:
    """Return the effect of an unsubscribe link: none, because the sandbox sends no messages."""
    return dropped(f"no delivery has the id {delivery_id}, so no person was unsubscribed")
