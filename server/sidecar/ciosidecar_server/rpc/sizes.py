"""The sizes by which results are split into messages."""

RESERVE_BYTES = 8192
"""The room in each message for what is not counted: one event's detail, with its tag and warnings."""
PER_EVENT_BYTES = 32
"""A status, the numbers and lengths of a request, a position in a shared request."""
TEMPLATE_FIELD_BYTES = 8
"""What a template counts for beside its message: its number and its length."""
