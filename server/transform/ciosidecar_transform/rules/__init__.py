"""Event → operation, one type a file. Nothing in here knows a dialect of Customer.io's API."""
