"""API keys: what asks an endpoint shows one, of which the endpoint keeps a digest alone.

    <config>/api-keys/<id>.json     name, scopes, rate, and the sha256 of one key

A key is `lepton_<id>_<secret>`, its secret 32 random bytes: a plain digest of so many cannot be
guessed, and costs a request next to nothing. Each is a file of its own, so that two who add or drop
keys at once lose none; a folder that is there asks for keys even when the last one is dropped.
"""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import KeyAbsent, KeyStoreError
from deployments.targets.trust.card import Sha256
from deployments.targets.trust.key_files import (
    config_dir,
    list_names,
    make_private_dir,
    put_private,
    read_private,
    remove_private,
)
from storage.base.store import canonical_json

Access = Literal["predict", "feedback", "uplink", "admin"]
ACCESSES: Final[tuple[Access, ...]] = ("predict", "feedback", "uplink", "admin")
"""What a key may be for: asking, telling truths, sending batches, health and metrics."""
FOLDER: Final = "api-keys"
MAX_NAME_CHARS: Final = 80
_KEY = re.compile(r"^lepton_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$")
_NOBODY: Final = "0" * 64


class ApiKey(BaseModel):
    """What is kept of a key.

    Attributes:
        format: Version of this record.
        id: Its second part, which is no secret.
        name: Who has it.
        sha256: Digest of the whole key.
        scopes: What it may be used for.
        rate_per_s: Requests a second that it may make on average; None: any number.
        made_at: When it was made.
        ends_at: When it ends; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    sha256: Sha256
    scopes: Annotated[tuple[Access, ...], Field(min_length=1)]
    rate_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    made_at: AwareDatetime
    ends_at: AwareDatetime | None = None


def locate_api_keys(folder: Path | None = None) -> Path:
    """Return the folder of API keys: the one that is given, else that of the config directory."""
    return folder if folder is not None else config_dir() / FOLDER


def add_api_key(
    name: str,
    scopes: tuple[Access, ...],
    *,
    rate_per_s: float | None = None,
    days: float | None = None,
    folder: Path | None = None,
) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        name: Who is to have it.
        scopes: What it may be used for.
        rate_per_s: Requests a second that it may make on average; None: any number.
        days: Days until it ends; None: never.
        folder: Where it is kept; None: the config directory's.

    Returns:
        What is kept, and the key itself, which is kept nowhere.

    Raises:
        KeyStoreError: It cannot be kept, or no key can be so.
    """
    place, id = locate_api_keys(folder), secrets.token_hex(6)
    key, now = f"lepton_{id}_{secrets.token_urlsafe(32)}", datetime.now(UTC)
    try:
        record = ApiKey(
            id=id,
            name=name,
            sha256=sha256(key.encode()).hexdigest(),
            scopes=tuple(dict.fromkeys(scopes)),
            rate_per_s=rate_per_s,
            made_at=now,
            ends_at=None if days is None else _find_end(now, days),
        )
    except (ValueError, OverflowError) as error:
        raise KeyStoreError(
            f"API key must have a name of 1 to {MAX_NAME_CHARS} letters, a scope of "
            f"{', '.join(ACCESSES)}, a rate above 0 and an end in this age; got another; correct it"
        ) from error
    make_private_dir(place)
    put_private(place / f"{id}.json", canonical_json(record.model_dump(mode="json")))
    return record, key


def _find_end(now: datetime, days: float) -> datetime:
    """Return when a key ends.

    Raises:
        ValueError: It would have ended already, or the days are no number.
        OverflowError: It would end in no year that a date can have.
    """
    if not days > 0:
        raise ValueError(days)
    return now + timedelta(days=days)


def list_api_keys(folder: Path | None = None) -> dict[str, ApiKey]:
    """Read all keys by id; none where there is no folder.

    Raises:
        KeyUnsafe: A file is open to others.
        KeyStoreError: One cannot be read, or is damaged.
    """
    place = locate_api_keys(folder)
    found = {}
    for file in list_names(place):
        try:
            record = ApiKey.model_validate_json(read_private(place / file))
        except KeyAbsent:
            continue  # It was dropped meanwhile.
        except ValidationError as error:
            raise KeyStoreError(
                f"API key ({place / file}) must follow its format; got another; remove the "
                "file, and add a new key"
            ) from error
        found[record.id] = record
    return found


def drop_api_key(id: str, folder: Path | None = None) -> ApiKey:
    """Remove a key for good; endpoints refuse it within a second.

    Raises:
        KeyAbsent: There is none of this id.
        KeyStoreError: It cannot be removed.
    """
    place = locate_api_keys(folder)
    record = list_api_keys(folder).get(id)
    if record is None:
        raise KeyAbsent(
            f"API key ({id[:20]}) must be one of those that are here; got another; see `lepton "
            "keys api list`"
        )
    remove_private(place / f"{id}.json")
    return record


def find_api_key(keys: dict[str, ApiKey], shown: str, now: datetime | None = None) -> ApiKey | None:
    """Return the record of a key that was shown; None where it is none, or has ended.

    Digests are compared in constant time, one for an unknown id, too.
    """
    match = _KEY.match(shown)
    record = keys.get(match.group(1)) if match else None
    digest = sha256(shown.encode("utf-8", "replace")).hexdigest()
    same = hmac.compare_digest(digest, _NOBODY if record is None else record.sha256)
    if record is None or not same:
        return None
    if record.ends_at is not None and (now or datetime.now(UTC)) >= record.ends_at:
        return None
    return record
