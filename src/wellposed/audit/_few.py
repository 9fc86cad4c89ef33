"""How many examples are held in memory at once."""

from wellposed.audit._subject import Subject

NUMBERS = 20_000_000
LEAST = 200


def few(subject: Subject, part: str, wanted: int) -> int:
    """At most as many examples as make a table of 20 million numbers, but 200 in any case.

    Args:
        subject: Whose examples.
        part: Of the data.
        wanted: How many there would be at best.
    """
    size = subject.take(part, 1)[0].numel()
    return min(wanted, len(subject.parts[part]), max(LEAST, NUMBERS // max(size, 1)))
