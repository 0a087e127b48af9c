"""Says what to install where something needs more than a device has."""

PLATFORM = "pip install 'lepton-ai[platform]'"


def explain_absence(what: str, error: ImportError) -> str:
    """Return one sentence on what needs which packages, with the command that installs them.

    Args:
        what: What was asked for, such as "`lepton run`".
        error: Why it cannot be had.
    """
    return (
        f"{what} must have the platform's packages; got no module {error.name!r}; install them "
        f"with: {PLATFORM}"
    )
