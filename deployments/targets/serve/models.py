"""Which model a request means: the one that answers now, by any of its names, or the one before."""

import re
from collections.abc import Sequence
from typing import Protocol

from deployments.targets.run.live import LiveModel
from deployments.targets.serve.replies import Refusal

_ID = re.compile(r"^[0-9a-f]{12,64}$")


class LiveModels(Protocol):
    """What a runtime holds."""

    @property
    def current(self) -> LiveModel:
        """The model that answers."""

    @property
    def previous(self) -> LiveModel | None:
        """The model that answered before it."""


def list_versions(runtime: LiveModels) -> list[LiveModel]:
    """List the models that can be asked, the current one first, each id once."""
    current, previous = runtime.current, runtime.previous
    if previous is None or previous.model_id == current.model_id:
        return [current]
    return [current, previous]


def find_model(
    runtime: LiveModels, names: Sequence[str], name: str, version: str | None = None
) -> LiveModel:
    """Return the model that a request means.

    Args:
        runtime: What is loaded.
        names: Names of the current model beside its recipe's, such as the channel's.
        name: A name, or the first 12 digits or more of a model id.
        version: The id of one of its versions, its first 12 digits or more, or the number of its
            release.

    Raises:
        Refusal: 404, nothing of that name or version answers here.
    """
    current = runtime.current
    if version is None and (name == current.card.name or name in names):
        return current
    models = list_versions(runtime)
    known = [
        live for live in models if name == live.card.name or name in names or _is_id(name, live)
    ]
    if not known:
        said = ", ".join(dict.fromkeys([current.card.name, *names]))
        raise Refusal(
            404,
            f"model ({name[:80]}) must be one that answers here; got another; ask for one of "
            f"{said}, or {current.model_id[:12]}",
        )
    found = [live for live in known if version is None or _is_version(version, live)]
    if not found:
        said = ", ".join(live.model_id[:12] for live in known)
        raise Refusal(
            404,
            f"version ({(version or '')[:80]}) of model {name[:80]} must be one that is loaded; "
            f"got another; ask for one of {said}",
        )
    return found[0]


def _is_version(text: str, live: LiveModel) -> bool:
    return text == str(live.release) or _is_id(text, live)


def _is_id(text: str, live: LiveModel) -> bool:
    return _ID.match(text) is not None and live.model_id.startswith(text)
