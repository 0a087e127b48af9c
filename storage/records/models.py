"""Models: one immutable directory each, named by an identity that is fixed before any export."""

from collections.abc import Mapping, Sequence

from storage.base.errors import Conflict, Corrupt
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.receipts import FileRecord, StartRecord

FOLDER = "models"
CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights"


def compute_model_id(checkpoint: str, recipe: str, datasets: Sequence[str]) -> str:
    """Computes a model's identity: sha256 over the digests of weights, recipe and data versions.

    Args:
        checkpoint: sha256 of the checkpoint's bytes.
        recipe: sha256 of the canonical recipe.
        datasets: Digests of the dataset versions, raw first.

    Returns:
        64 hexadecimal digits.
    """
    return sha256_bytes(
        canonical_json({"checkpoint": checkpoint, "datasets": list(datasets), "recipe": recipe})
    )


def model_folder(workspace: Store, model_id: str) -> Store:
    """Returns the directory of a model."""
    return workspace.child(FOLDER, model_id)


def write_model_files(
    workspace: Store, model_id: str, files: Mapping[str, bytes]
) -> dict[str, FileRecord]:
    """Writes files of a model, each once: the same bytes again are no fault, other bytes are.

    Returns:
        Digest and size of each file, by name.

    Raises:
        Conflict: A file is there already with other bytes.
    """
    folder = model_folder(workspace, model_id)
    records = {}
    for name, content in sorted(files.items()):
        record = FileRecord(sha256=sha256_bytes(content), size_bytes=len(content))
        if not folder.put_if_absent(name, content):
            found = sha256_bytes(folder.read(name))
            if found != record.sha256:
                raise Conflict(
                    f"model file ({folder.display}/{name}) must hold the bytes its identity stands "
                    f"for, sha256 {record.sha256}; got {found}; run `lepton verify {model_id}`, "
                    "then move the directory away"
                )
        records[name] = record
    return records


def keep_weights(workspace: Store, content: bytes, url: str) -> StartRecord:
    """Keeps weights from elsewhere in the workspace, under their digest, to be traced by it.

    Args:
        workspace: The workspace.
        content: The file's bytes.
        url: Where they came from, without secrets.
    """
    digest = sha256_bytes(content)
    workspace.put_if_absent(_locate_weights(digest), content)
    record = find_weights(workspace, digest, url)
    if record is None:
        raise Conflict(
            f"weights ({workspace.display}/{_locate_weights(digest)}) must stay; got nothing; run "
            "again"
        )
    return record


def find_weights(workspace: Store, sha256: str, url: str) -> StartRecord | None:
    """Finds weights that were kept before; None if they were not.

    Raises:
        Corrupt: They are others now.
    """
    path = _locate_weights(sha256)
    if not workspace.exists(path):
        return None
    record = StartRecord(path=path, sha256=sha256, size_bytes=workspace.size(path), url=url)
    read_recorded(workspace, record)
    return record


def _locate_weights(sha256: str) -> str:
    return f"{WEIGHTS}/{sha256}.safetensors"


def read_recorded(workspace: Store, record: StartRecord) -> bytes:
    """Reads the bytes of weights that a record names.

    Raises:
        NotFound: They are gone.
        Corrupt: They are others now.
    """
    content = workspace.read(record.path)
    if (found := sha256_bytes(content)) != record.sha256:
        raise Corrupt(
            f"weights ({workspace.display}/{record.path}) must have sha256 {record.sha256}; got "
            f"{found}; restore the file from a copy"
        )
    return content
