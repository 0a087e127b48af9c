"""Says what to install where something needs more than a device has."""

PLATFORM = "platform"
SERVE = "serve"
_NAMES = {PLATFORM: "the platform's packages", SERVE: "the packages of HTTP"}


def explain_absence(what: str, error: ImportError, extra: str = PLATFORM) -> str:
    """Return one sentence on what needs which packages, with the command that installs them.

    Args:
        what: What was asked for, such as "`lepton run`".
        error: Why it cannot be had.
        extra: The extra that brings the packages.
    """
    return (
        f"{what} must have {_NAMES[extra]}; got no module {error.name!r}; install them with: "
        f"pip install 'lepton-ai[{extra}]'"
    )
