"""Texts of any number of different values as buckets: learning and asking share which one it is."""

import hashlib
import re

_NAME = re.compile(r"#(\d{1,5}) of (\d{1,5})")


def name_buckets(count: int) -> tuple[str, ...]:
    """Return the names of so many buckets, which stand in a card where texts would."""
    return tuple(f"#{place} of {count}" for place in range(count))


def find_bucket(text: str, count: int) -> int:
    """Return the bucket of a text, in [0, count): by its hash (Weinberger et al., 2009).

    A bucket's own name is of that bucket, so that rows which a device sent back, of which only that
    is known, are learned from as the text that was there.
    """
    named = _NAME.fullmatch(text)
    if named is not None and int(named[2]) == count and int(named[1]) < count:
        return int(named[1])
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count
