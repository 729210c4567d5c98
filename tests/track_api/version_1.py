"""Bodies of requests to /api/v1 and to /unsubscribe."""

from .shapes import (
    ANYTHING,
    FILLED_TEXT,
    TEXT,
    WHOLE_NUMBER,
    YES_OR_NO,
    Schema,
    any_of,
    choice,
    exactly_one,
    fields,
    listed,
    only,
    removable,
)

_OBJECT = any_of(
    (
        only({"object_type_id": TEXT, "object_id": TEXT}),
        only({"cio_object_id": TEXT}),
    )
)
_RELATIONSHIP = fields({"identifiers": _OBJECT}, {"relationship_attributes": ANYTHING})
_RELATIONSHIPS = fields(
    {
        "action": choice("add_relationships", "delete_relationships"),
        "relationships": listed(_RELATIONSHIP),
    }
)
SUBSCRIPTIONS = removable(
    fields({}, {"topics": {"type": "object", "additionalProperties": YES_OR_NO}})
)

# Any other name is an attribute of the workspace's own, with any JSON value.
PROFILE = fields(
    {},
    {
        "id": TEXT,
        "email": removable(TEXT),
        "anonymous_id": TEXT,
        "created_at": removable(WHOLE_NUMBER),
        "unsubscribed": removable({"type": ["boolean", "string", "number"]}),
        "cio_subscription_preferences": SUBSCRIPTIONS,
        "cio_relationships": _RELATIONSHIPS,
        "_timestamp": WHOLE_NUMBER,
        "_update": YES_OR_NO,
    },
)

DEVICE_ATTRIBUTES: Schema = {"type": "object", "additionalProperties": TEXT}
DEVICE = fields(
    {
        "device": fields(
            {"id": TEXT, "platform": choice("ios", "android")},
            {"last_used": WHOLE_NUMBER, "attributes": DEVICE_ATTRIBUTES},
        )
    }
)

_EVENT_OPTIONS = {
    "type": choice("event", "page", "screen"),
    "id": TEXT,
    "timestamp": WHOLE_NUMBER,
}
EVENT = fields({"name": FILLED_TEXT}, _EVENT_OPTIONS | {"data": ANYTHING})
# An event without an anonymous id is an invitation: data that it has names the recipient.
ANONYMOUS_EVENT = any_of(
    (
        fields({"name": FILLED_TEXT, "anonymous_id": TEXT}, _EVENT_OPTIONS | {"data": ANYTHING}),
        only(
            {"name": FILLED_TEXT},
            _EVENT_OPTIONS | {"data": fields({"recipient": TEXT})},
        ),
    )
)

_MERGED = exactly_one({"id": TEXT, "email": TEXT, "cio_id": TEXT})
MERGE = fields({"primary": _MERGED, "secondary": _MERGED})

SEGMENT = fields({"ids": listed(TEXT, 1, 1000)})

_FORM_VALUES: Schema = {"type": "object", "additionalProperties": TEXT}
FORM = fields(
    {
        "data": {
            "allOf": [_FORM_VALUES],
            "oneOf": [{"required": ["id"]}, {"required": ["email"]}],
        }
    }
)

# The union over all channels: which channel a delivery belongs to is not part of the request.
_METRICS = (
    "bounced",
    "clicked",
    "converted",
    "deferred",
    "delivered",
    "dropped",
    "opened",
    "spammed",
)
METRIC = fields(
    {"delivery_id": TEXT, "metric": choice(*_METRICS)},
    {"timestamp": WHOLE_NUMBER, "recipient": TEXT, "reason": TEXT, "href": TEXT},
)
PUSH_METRIC = fields(
    {},
    {
        "delivery_id": TEXT,
        "event": choice("opened", "converted", "delivered"),
        "device_id": TEXT,
        "timestamp": WHOLE_NUMBER,
    },
)
UNSUBSCRIBE = fields({}, {"unsubscribe": YES_OR_NO})
