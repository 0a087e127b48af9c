"""The page of a check: what stops a run, what the first rows hold, what a run would take."""

from datetime import datetime

from markupsafe import Markup
from pydantic import Field

from tasks.rendering.base import Part, Text
from tasks.rendering.profile import DataProfile
from tasks.rendering.render import make_environment, read_script, read_style, write_policy


class CheckPage(Part):
    """All that is on the page of a check.

    Attributes:
        recipe: Its name.
        kind: What it learns from what.
        at: When it was checked, UTC.
        faults: What would stop a run, each with its remedy.
        profile: What the first rows hold.
        complete: Whether these are all rows.
        splits: Rows of each split that the source gives.
        estimate: What a run takes, by name.
        commands: What to do next.
    """

    recipe: Text
    kind: Text
    at: datetime
    faults: tuple[Text, ...] = ()
    profile: DataProfile
    complete: bool = True
    splits: dict[Text, int] = Field(default_factory=dict)
    estimate: dict[Text, Text] = Field(default_factory=dict)
    commands: tuple[Text, ...] = ()


def render_check_page(page: CheckPage) -> str:
    """Return the page as HTML5, UTF-8, self-contained."""
    css, script = read_style(), read_script()
    return (
        make_environment()
        .get_template("check.html.j2")
        .render(
            page=page,
            css=Markup(css),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=write_policy(css, script),
        )
    )
