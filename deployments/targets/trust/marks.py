"""What people say of models: tags, and which are retired; one sealed record each.

<workspace>/tags/<tag>.json          the model that goes by a name
<workspace>/retired/<model id>.json  a model that is over, and why
"""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import NotCleared, TargetError
from deployments.targets.specs import NAME_PATTERN
from deployments.targets.trust.card import Sha256
from deployments.targets.trust.decision import MAX_WORDS
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import NotFound
from storage.base.store import Store

FOLDERS: Final = {"tag": "tags", "retired": "retired"}
_TAG = re.compile(NAME_PATTERN)
_ID = re.compile(r"^[0-9a-f]{8,64}$")
_SUFFIX = ".json"
_REMEDY = "restore the file from a copy, import its signer's public key, or remove it"


class Mark(BaseModel):
    """What is said of one model.

    Attributes:
        format: Version of this record.
        sort: "tag": it goes by a name; "retired": it is over.
        name: The tag; of a retired model its id.
        model_id: Identity of the model.
        at: When it was said, in UTC.
        author: Who said so.
        reason: Why, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    sort: Literal["tag", "retired"]
    name: str
    model_id: Sha256
    at: datetime
    author: Annotated[str, Field(min_length=1, max_length=MAX_WORDS)]
    reason: Annotated[str, Field(max_length=MAX_WORDS)] = ""

    @property
    def path(self) -> str:
        """Where it lies in its workspace."""
        return _locate(self.sort, self.name)


def check_tag(name: str) -> str:
    """Return a tag, if it can be one.

    Raises:
        TargetError: It cannot: it becomes a file's name, and must not look like an id.
    """
    if _TAG.fullmatch(name) is None or _ID.fullmatch(name) is not None:
        raise TargetError(
            f"tag ({name[:64]}) must have 1 to 63 of a-z, 0-9, '.', '_' and '-', and not look like "
            "a model's id; got another; choose a word"
        )
    return name


def write_mark(workspace: Store, mark: Mark, ring: KeyRing | None = None) -> None:
    """Writes a record, sealed; one that is there by that name is replaced in one step."""
    sealed = seal_body(mark.model_dump(mode="json"), (ring or KeyRing()).receipt_signer())
    workspace.write(mark.path, sealed)


def drop_mark(workspace: Store, sort: str, name: str) -> None:
    """Removes a record; none is no fault."""
    workspace.delete(_locate(sort, name))


def read_marks(workspace: Store, ring: KeyRing | None = None) -> list[Mark]:
    """Reads all records, retired models before tags.

    Raises:
        NotCleared: One is not signed by a trusted key, is damaged, or is not that of its name.
    """
    trusted = (ring or KeyRing()).trusted_receipt_keys()
    return [
        _open(workspace, sort, entry.removesuffix(_SUFFIX), trusted)
        for sort, folder in sorted(FOLDERS.items())
        for entry in workspace.listdir(folder)
        if entry.endswith(_SUFFIX)
    ]


def _open(workspace: Store, sort: str, name: str, trusted: dict[str, bytes]) -> Mark:
    what = f"record {_locate(sort, name)} of {workspace.display}"
    try:
        content = workspace.read(_locate(sort, name))
        mark = Mark.model_validate(open_sealed(content, trusted, what, remedy=_REMEDY))
    except (ValidationError, NotFound) as error:
        raise NotCleared(f"{what} must follow its format; got {error}; {_REMEDY}") from error
    if (mark.sort, mark.name) != (sort, name):
        raise NotCleared(f"{what} must be that of its name; got {mark.path}; {_REMEDY}")
    return mark


def _locate(sort: str, name: str) -> str:
    return f"{FOLDERS[sort]}/{name}{_SUFFIX}"
