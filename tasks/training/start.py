"""Weights to start from: found, proven and kept before anything else begins."""

from safetensors import SafetensorError, deserialize

from deployments.targets.errors import NotCleared
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.signed_receipt import verify_receipt
from lightning_modules.specs.start import StartSpec
from storage.base.store import Store, redact, sha256_bytes
from storage.records.models import CHECKPOINT, FOLDER, find_weights, keep_weights, read_recorded
from storage.records.receipt_files import find_damaged, list_model_receipts
from storage.records.receipts import Receipt, StartRecord
from storage.sources.opening import read_file
from tasks.runtime.errors import StartError


def find_start(workspace: str, spec: StartSpec | None) -> StartRecord | None:
    """Finds the weights that a recipe wants to start from; those of a URL are kept.

    Args:
        workspace: Folder or URL of the workspace.
        spec: What the recipe says; None for drawn weights.

    Raises:
        StartError: There is no such model, it was not promoted, or a file is not the one that was
            asked for.
        StorageError: The file cannot be read, or a model's weights are gone or altered.
    """
    if spec is None:
        return None
    store = Store(workspace)
    if spec.url is None:
        return _locate(store, spec.model or "")
    kept = _find_kept(store, spec.sha256, redact(spec.url)) if spec.sha256 is not None else None
    return kept or _fetch(store, spec.url, spec.sha256)


def _find_kept(store: Store, sha256: str, url: str) -> StartRecord | None:
    """Finds weights that the workspace has already: a model's, or those of an earlier run."""
    if own := list_model_receipts(store, sha256):
        return _locate(store, str(own[-1].receipt.model_id))
    return find_weights(store, sha256, url)


def _locate(store: Store, model_id: str) -> StartRecord:
    """Locates the weights of a promoted model, which are still its own."""
    receipt = find_model(store, model_id)
    if receipt.model is None:
        raise TypeError(f"receipt {receipt.id} must be of a model")
    file = receipt.model.files[CHECKPOINT]
    path = f"{FOLDER}/{receipt.model.id}/{CHECKPOINT}"
    record = StartRecord(
        path=path, sha256=file.sha256, size_bytes=file.size_bytes, model=receipt.model.id
    )
    read_recorded(store, record)
    return record


def find_model(store: Store, model_id: str) -> Receipt:
    """Finds the receipt of a promoted model, signed by a key that is trusted here.

    Args:
        store: The workspace.
        model_id: The model's id, or its first 8 digits or more.

    Raises:
        StartError: There is none, or it does not hold.
    """
    found = list_model_receipts(store, model_id)
    if len({signed.receipt.model_id for signed in found}) != 1 or not found[-1].receipt.promoted:
        ids = sorted({str(signed.receipt.model_id) for signed in found})
        got = (
            f"{len(ids)} of that beginning"
            if len(ids) > 1
            else "one that was stopped"
            if ids
            else "none"
        )
        damaged = "".join(f"; {fault}" for fault in find_damaged(store))
        raise StartError(
            f"train.start_from.model ({model_id}) must be a promoted model of {store.display}; got "
            f"{got}{damaged}; give the whole id of one, or another workspace"
        )
    signed = found[-1]
    try:
        verify_receipt(signed.content, KeyRing().trusted_receipt_keys())
    except NotCleared as error:
        raise StartError(
            f"train.start_from.model ({model_id}) must have a receipt that holds: {error}"
        ) from error
    return signed.receipt


def _fetch(store: Store, url: str, sha256: str | None) -> StartRecord:
    content = read_file(url, {})
    found = sha256_bytes(content)
    if sha256 not in (None, found):
        raise StartError(
            f"train.start_from.sha256 ({sha256}) must be that of {redact(url)}; got {found}; "
            "another file lies there: ask who published it"
        )
    if (kept := _find_kept(store, found, redact(url))) is not None:
        return kept
    try:
        deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise StartError(
            f"train.start_from.url ({redact(url)}) must be a safetensors file; got {len(content)} "
            f"bytes of something else: {error}; convert it with safetensors.torch.save_file"
        ) from error
    return keep_weights(store, content, redact(url))
