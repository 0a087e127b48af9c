"""Reads a run's journal, whose signature is checked before all else, and takes its lock."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import is_signed
from flows.errors import ResumeError
from flows.recipe.model import Recipe
from storage.base.errors import NotFound
from storage.base.locks import take_lock
from storage.base.store import Store
from tasks.runtime.run_record import RunRecord

JOURNAL, LOCK = "journal.json", "lock"


class Page(BaseModel):
    """Holds what is signed.

    Attributes:
        kind: Tells it from a receipt, which the same key signs.
        code: Digest of Lepton's own files.
        recipe: The recipe without secrets: the run goes on with it, and reads its source again only
            where what was collected is gone.
        record: What the stages handed on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["journal"] = "journal"
    format: Literal[1] = 1
    code: str
    recipe: dict[str, Any]
    record: RunRecord


def take_run(directory: Path) -> int:
    """Takes a run for this process; the kernel gives it back when the process ends.

    Raises:
        ResumeError: Another process is at work on it.
    """
    lock = take_lock(directory / LOCK)
    if lock is None:
        raise ResumeError(
            f"run ({directory.name}) must have ended before it can go on; got a process that is at "
            "work on it; wait for that one"
        )
    return lock


def read_page(directory: Path) -> Page:
    """Reads a journal if its signature is this machine's, which is checked before all else."""
    try:
        envelope = json.loads(Store(directory).read(JOURNAL))
        signer = KeyRing().receipt_signer()
        own = {signer.keyid: bytes.fromhex(signer.public)}
        if not is_signed(envelope["signed"].encode(), envelope["signature"], own):
            raise ResumeError(
                f"journal ({directory / JOURNAL}) must be signed with this machine's key; got "
                "another signature; it was altered or is another machine's: run the recipe again, "
                "or set LEPTON_CONFIG_DIR to the keys it had"
            )
        return Page.model_validate_json(envelope["signed"])
    except (ValueError, TypeError, KeyError, AttributeError, NotFound) as error:
        raise ResumeError(
            f"journal ({directory / JOURNAL}) must be one that this Lepton writes; got "
            f"{type(error).__name__}: {str(error).splitlines()[0]}; run the recipe again"
        ) from error


def load_page_recipe(page: Page) -> Recipe:
    """Return the recipe of a run, as it was when the run began."""
    recipe = _validate(page.recipe)
    if recipe is None or recipe.digest != page.record.recipe["digest"]:
        raise ResumeError(
            f"recipe of run ({page.record.run}) must mean what it meant when the run began; got "
            "another digest, for Lepton has changed since; run the recipe again"
        )
    return recipe


def _validate(document: dict[str, Any]) -> Recipe | None:
    try:
        return Recipe.model_validate(document)
    except ValidationError:
        return None
