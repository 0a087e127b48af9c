"""Is what a receipt says still true? Every file that it names is read and hashed again."""

from dataclasses import dataclass

from storage.base.errors import StorageError
from storage.base.store import Store, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_version
from storage.records.models import model_folder
from storage.records.receipts import DatasetRecord, FileRecord, Receipt


@dataclass(frozen=True)
class Audit:
    """What was hashed, and what was wrong.

    Attributes:
        files: Number of files read, the receipt's own included.
        faults: One sentence each: the file, what was signed, what was found.
    """

    files: int
    faults: tuple[str, ...]


def audit_receipt(workspace: Store, receipt: Receipt) -> Audit:
    """Hashes again the model's files, its start weights, and both data versions, shards included.

    The source's files lie outside the workspace and may have moved on; their digests stay on the
    receipt.
    """
    audits = [Audit(1, ())]
    if receipt.model is not None:
        folder = model_folder(workspace, receipt.model.id)
        audits += [
            _audit_file(folder, name, record)
            for name, record in sorted(receipt.model.files.items())
        ]
        if (start := receipt.model.start) is not None:
            audits.append(_audit_file(workspace, start.path, start))
    audits += [audit_dataset(workspace, record) for record in receipt.datasets.values()]
    return Audit(
        sum(audit.files for audit in audits),
        tuple(fault for audit in audits for fault in audit.faults),
    )


def _audit_file(folder: Store, name: str, record: FileRecord) -> Audit:
    try:
        found = sha256_bytes(folder.read(name))
    except StorageError as error:
        return Audit(1, (str(error),))
    if found == record.sha256:
        return Audit(1, ())
    return Audit(1, (f"{folder.display}/{name} must have sha256 {record.sha256}; got {found}",))


def audit_dataset(workspace: Store, record: DatasetRecord) -> Audit:
    """Holds a version against its log entry, its manifest and its shards."""
    try:
        version = Dataset(workspace, record.name).open(record.number)
        faults = [str(fault) for fault in verify_version(version)]
    except StorageError as error:
        return Audit(1, (str(error),))
    if (version.digest, version.manifest_digest) != (record.digest, record.manifest):
        faults.append(
            f"dataset {record.ref} must be the version with digest {record.digest}; got "
            f"{version.digest}; the log was replaced"
        )
    return Audit(2 + sum(len(entry.files) for entry in version.shards), tuple(faults))
