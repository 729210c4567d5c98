"""The rate store in Redis. The package needs the extra rate-store, apart from opening.py."""
