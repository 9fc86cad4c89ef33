"""Seeds for private random streams, derived from one number and a position."""

from hashlib import blake2b
from struct import pack


def derived_seed(seed: int, *position: int) -> int:
    """A 63-bit seed that depends on all its arguments and on nothing else.

    Streams at different positions are unrelated, so that batch 17 of epoch 3 can be drawn again
    without drawing what came before it.
    """
    numbers = (seed, *position)
    message = b"".join(n.to_bytes(16, "little", signed=True) for n in numbers)
    digest = blake2b(pack("<q", len(numbers)) + message, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
