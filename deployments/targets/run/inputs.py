"""Reading a file into raw samples: its bytes within bounds, then by the reader of the form."""

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.forms.arrays import Raw
from deployments.targets.run.forms.registry import READERS
from deployments.targets.trust.card import Card
from storage.base.errors import NotFound, StorageError
from storage.base.registry import UnknownName
from storage.base.store import Store, redact

MAX_FILE_BYTES = 64 * 2**20


def load_input(file: str, card: Card) -> Raw:
    """Read the raw samples of one file.

    Args:
        file: Path or any fsspec URL: a PNG, JPEG or .npy file of one picture, a CSV or .npy file of
            rows, or what the reader of the card's form takes.
        card: The model's card.

    Returns:
        (N, *card.input.shape), the card's dtype; N is 1 for pictures and the window of a series.

    Raises:
        BadInput: The file is missing, too large, damaged, or does not hold what the card describes.
        BadArtifact: No reader for the card's form is installed here.
    """
    try:
        read = READERS.find(card.input.form)
    except UnknownName as error:
        raise BadArtifact(f"model card's input must be of a form known here: {error}") from error
    return read(_read_bounded(file), card.input, redact(file))


def _read_bounded(file: str) -> bytes:
    if file.startswith(("http://", "https://")):
        return _read_http(file)
    folder, _, name = file.rpartition("/")
    try:
        store = Store(folder or ("/" if file.startswith("/") else "."))
        local = store.local_path(name)
        if not name or (local is not None and local.is_dir()):
            raise BadInput(
                f"input ({redact(file)}) must be one file; got a folder; name the files in it"
            )
        size_bytes = store.size(name)
        data = store.read(name) if size_bytes <= MAX_FILE_BYTES else b""
    except NotFound as error:
        raise BadInput(
            f"input ({redact(file)}) must exist; got no such file; check the path"
        ) from error
    except (StorageError, OSError, ValueError) as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file that can be read; got {error}"
        ) from error
    if size_bytes > MAX_FILE_BYTES:
        raise BadInput(
            f"input ({redact(file)}) must be at most {MAX_FILE_BYTES} bytes; got {size_bytes}; "
            "crop it"
        )
    return data


def _read_http(file: str) -> bytes:
    from tuf.api.exceptions import DownloadError

    from deployments.targets.follow.fetch import read_http

    try:
        return read_http(file, MAX_FILE_BYTES)
    except DownloadError as error:
        raise BadInput(
            f"input ({redact(file)}) must be a file of at most {MAX_FILE_BYTES} bytes that can be "
            f"read; got {redact(str(error))}"
        ) from None
