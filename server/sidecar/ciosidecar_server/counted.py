"""Numbers of things, as people read them."""


def counted(number: int, noun: str, *, grouped: bool = False) -> str:
    """Return a number and its noun: "1 event", "2 events".

    Args:
        number: how many there are.
        noun: the singular of what is counted. Its plural ends in s.
        grouped: whether to put commas between thousands.
    """
    digits = f"{number:,}" if grouped else str(number)
    return f"{digits} {noun}" if number == 1 else f"{digits} {noun}s"
