"""A channel's verified model for those who run it without Lepton: a folder, or an OCI image layout.

The layout follows the OCI Image Format Specification 1.1
(https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md): any registry's client
copies it. The same release makes the same bytes.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from deployments.targets.errors import ExportError
from deployments.targets.follow.client import VerifiedModel
from deployments.targets.trust.card import CARD_FILE, RECEIPT_FILE
from storage.base.store import canonical_json, sha256_bytes

PACKAGE: Final = "lepton-ai"
ARTIFACT_TYPE: Final = "application/vnd.lepton.model.v1"
EMPTY: Final = b"{}"
"""The config of a manifest that is no image's (image-spec, manifest.md, "empty descriptor")."""
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_TYPES: Final = {".json": "application/json", ".py": "text/x-python", ".txt": "text/plain"}
_EXAMPLE: Final = """\
import base64, json, numpy, onnxruntime
card = json.load(open("card.json"))
asked, session = card["golden"]["input"], onnxruntime.InferenceSession(card["artifact"]["file"])
sample = numpy.frombuffer(base64.b64decode(asked["data"]), asked["dtype"]).reshape(asked["shape"])
print(session.run(None, {card["input"]["name"]: sample}))
"""


def list_files(model: VerifiedModel) -> dict[str, bytes]:
    """Return what is exported: artifact, card, receipt, licence, notice, an example that runs."""
    files = {
        model.release.file: model.data,
        CARD_FILE: model.card.to_bytes(),
        RECEIPT_FILE: model.receipt,
        "NOTICE.txt": _write_notice(model).encode(),
        "example.py": _EXAMPLE.encode(),
    }
    licence = _read_licence()
    return files if licence is None else {**files, "LICENSE.txt": licence.encode()}


def list_layout(model: VerifiedModel) -> dict[str, bytes]:
    """Return the same as an OCI image layout: one manifest, whose layers are these files."""
    blobs: dict[str, bytes] = {}

    def put(content: bytes, kind: str, **more: Any) -> dict[str, Any]:
        digest = sha256_bytes(content)
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content), **more}

    layers = [
        put(
            content,
            _TYPES.get(Path(name).suffix, "application/octet-stream"),
            annotations={"org.opencontainers.image.title": name},
        )
        for name, content in sorted(list_files(model).items())
    ]
    config = put(EMPTY, "application/vnd.oci.empty.v1+json")
    document = _write_manifest(model, config, layers)
    release = model.release
    name = {"org.opencontainers.image.ref.name": f"{release.channel}-{release.number}"}
    manifest = put(
        canonical_json(document), _MANIFEST_TYPE, artifactType=ARTIFACT_TYPE, annotations=name
    )
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    }
    return {
        **blobs,
        "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": canonical_json(index),
    }


def _write_manifest(
    model: VerifiedModel, config: dict[str, Any], layers: list[dict[str, Any]]
) -> dict[str, Any]:
    release = model.release
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": config,
        "layers": layers,
        "annotations": {
            "org.opencontainers.image.created": release.published_at,
            "org.opencontainers.image.title": f"{model.card.name} {release.artifact}",
            "org.opencontainers.image.version": str(release.number),
            "ai.lepton.channel": release.channel,
            "ai.lepton.model-id": release.model_id,
            "ai.lepton.receipt": release.receipt,
        },
    }


def write_folder(files: Mapping[str, bytes], target: Path) -> None:
    """Writes files as a new folder, which is there as a whole or not at all.

    Raises:
        ExportError: The folder holds something already, or cannot be written.
    """
    target = target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(
            f"folder ({target}) must be new or empty; got one that holds something; name another"
        )
    making = target.parent / f".{target.name}-{secrets.token_hex(6)}"
    try:
        for name, content in files.items():
            path = making / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        making.rename(target)
    except OSError as error:
        raise ExportError(
            f"folder ({target}) must be one that can be written; got {error.strerror}; name another"
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write_notice(model: VerifiedModel) -> str:
    """Return whose the parts are, and how to see that they are what was released."""
    release = model.release
    return (
        f"Model {release.model_id}\n"
        f"of recipe {model.card.name}, release {release.number} on channel {release.channel}, "
        f"published {release.published_at}.\n\n"
        f"{release.file}  sha256 {release.sha256}\n"
        f"{RECEIPT_FILE}  sha256 {release.receipt}\n\n"
        "The model was verified, and it answered its golden samples, as it was exported. Whose its "
        "weights and its\ntraining data are, and on which terms, is for its publisher to say; the "
        "receipt names the data.\n\n"
        f"Exported by {PACKAGE}, licensed under the Apache License 2.0, as example.py is.\n"
    )


def _read_licence() -> str | None:
    """Return the text of Lepton's licence; None where its installation has none."""
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    return installed.read_text("licenses/LICENSE") or installed.read_text("LICENSE")
