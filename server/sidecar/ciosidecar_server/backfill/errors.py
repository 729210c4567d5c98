"""The error that ends a backfill."""

EXIT_FAILED = 1
EXIT_USAGE = 2


class BackfillFailed(Exception):
    """The backfill cannot start, or cannot go on. The text says why and what to do."""

    def __init__(self, text: str, code: int = EXIT_FAILED) -> None:
        super().__init__(text, code)
        self.text = text
        self.code = code

    def __str__(self) -> str:
        """Return the text alone."""
        return self.text
