"""The settings of destinations and connections, read and checked once."""
