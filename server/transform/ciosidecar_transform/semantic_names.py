"""The names of semantic events, as Customer.io's pipelines have them. Rule 13.2."""

USER_DELETED = "User Deleted"
USER_SUPPRESSED = "User Suppressed"
USER_UNSUPPRESSED = "User Unsuppressed"
OBJECT_DELETED = "Object Deleted"
RELATIONSHIP_DELETED = "Relationship Deleted"
DEVICE_CHANGED = "Device Created or Updated"
DEVICE_DELETED = "Device Deleted"
DELIVERY_REPORTED = "Report Delivery Event"

SEMANTIC_NAMES = frozenset(
    [
        USER_DELETED,
        USER_SUPPRESSED,
        USER_UNSUPPRESSED,
        OBJECT_DELETED,
        RELATIONSHIP_DELETED,
        DEVICE_CHANGED,
        DEVICE_DELETED,
        DELIVERY_REPORTED,
    ]
)
