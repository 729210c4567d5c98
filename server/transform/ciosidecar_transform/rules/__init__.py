"""Rules that turn an event into an operation, one event type a file, in no API version's format."""
