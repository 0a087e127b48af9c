"""What identifies a row: a stable id from where it came, and a hash of what it holds.

Rows are a dict of arrays that share axis 0. Both identities are BLAKE2b (RFC 7693), keyless,
little-endian, and depend on nothing but the row itself: not on the shard it lies in, the worker
that read it, or the order of reading.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = dict[str, NDArray[Any]]
"""Named fields of rows: every array has shape (N, ...) with the same N."""

ROW_ID = "row_id"
CONTENT_HASH = "content_hash"
LABEL = "label"
VALID_SUFFIX = "__valid"
RESERVED = frozenset({ROW_ID, CONTENT_HASH, LABEL, LABEL + VALID_SUFFIX})


def find_valid(rows: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.bool_]:
    """Marks the rows of which every value of a field is valid by its mask, shape (N,)."""
    mask = rows.get(name + VALID_SUFFIX)
    if mask is None:
        return np.ones(count_rows(rows), dtype=np.bool_)
    axes = tuple(range(1, mask.ndim))
    present: NDArray[np.bool_] = np.logical_and.reduce(mask, axis=axes) if axes else mask
    return present


def count_rows(rows: Mapping[str, NDArray[Any]]) -> int:
    """Return the length of axis 0; 0 where there is no field at all."""
    return len(next(iter(rows.values()))) if rows else 0


def hash_row_ids(member: str, records: Iterable[int]) -> NDArray[np.uint64]:
    """Return stable ids of records of one member of a source.

    Args:
        member: Name of the member, as `train-images-idx3-ubyte` or `cats/1.jpg`; without its
            folder's URL.
        records: Numbers of the records inside the member, from 0.

    Returns:
        Ids of shape (N,): the first 64 bits of BLAKE2b over `<member>:<record>`.
    """
    head = hashlib.blake2b(f"{member}:".encode(), digest_size=8)
    digests = []
    for record in records:
        state = head.copy()
        state.update(b"%d" % record)
        digests.append(state.digest())
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64, copy=False)


def hash_member_ids(members: Iterable[str]) -> NDArray[np.uint64]:
    """Return stable ids of members that hold one record each, shape (N,).

    As `hash_row_ids(member, [0])`.
    """
    digests = [
        hashlib.blake2b(f"{member}:0".encode(), digest_size=8).digest() for member in members
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64, copy=False)


def hash_contents(rows: Mapping[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """Hashes of what rows hold, so that equal rows are found wherever they lie.

    Args:
        rows: Fields of shape (N, ...); text of shape (N,). Ids, hashes and labels among them are
            left out: a row that appears twice under two labels is still the same row.

    Returns:
        Hashes of shape (N, 2): BLAKE2b-128 over each field's name, dtype, row shape and
        little-endian bytes, fields in alphabetical order; a text is its length in bytes (8 bytes)
        and its UTF-8.
    """
    head = hashlib.blake2b(digest_size=16)
    columns: list[Sequence[bytes | memoryview]] = []
    for name in sorted(set(rows) - RESERVED):
        values = rows[name]
        if is_text(values):
            head.update(f"{name}:text;".encode())
            encoded = [str(text).encode() for text in values.tolist()]
            columns.append([len(text).to_bytes(8, "little") + text for text in encoded])
        else:
            little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
            head.update(f"{name}:{little.dtype.str}:{values.shape[1:]};".encode())
            columns.append(_slice_rows(little))
    digests = []
    for parts in zip(*columns, strict=True) if columns else [()] * count_rows(rows):
        state = head.copy()
        for part in parts:
            state.update(part)
        digests.append(state.digest())
    return (
        np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64, copy=False).reshape(-1, 2)
    )


def is_text(values: NDArray[Any]) -> bool:
    """Return whether a field holds text."""
    return values.dtype.kind in "TUO"


def _slice_rows(values: NDArray[Any]) -> list[memoryview]:
    """Return the bytes of each row."""
    if not values.nbytes:
        return [memoryview(b"")] * len(values)
    view: memoryview = values.reshape(-1).view(np.uint8).data
    width = values.nbytes // len(values)
    return [view[start : start + width] for start in range(0, values.nbytes, width)]


def draw_uniform(keys: NDArray[np.uint64], purpose: str) -> NDArray[np.float64]:
    """Draws pseudo-random numbers that are a pure function of a key.

    The same key draws the same number, in any order.

    Args:
        keys: Well-mixed 64-bit keys, shape (N,), or hashes of shape (N, 2).
        purpose: Names the draw and its seed; draws of two purposes are independent.

    Returns:
        Numbers in [0, 1), shape (N,).
    """
    return (mix_keys(keys, purpose) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mix_keys(keys: NDArray[np.uint64], purpose: str) -> NDArray[np.uint64]:
    """Scrambles keys with the finaliser of SplitMix64, twice, salted by purpose.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Args:
        keys: 64-bit keys, shape (N,), or hashes of shape (N, 2).
        purpose: Names what the numbers are for.

    Returns:
        Numbers of shape (N,), uniform over 64 bits.
    """
    salts = np.frombuffer(
        hashlib.blake2b(purpose.encode(), digest_size=16).digest(), dtype="<u8"
    ).astype(np.uint64)
    columns = keys[:, np.newaxis] if keys.ndim == 1 else keys
    mixed = np.full(len(keys), salts[0], dtype=np.uint64)
    for column in range(columns.shape[1]):
        mixed = _finalise(mixed ^ columns[:, column])
    return _finalise(mixed ^ salts[1])


def _finalise(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
