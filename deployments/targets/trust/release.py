"""A release: one artifact's turn as champion of a channel, as signed metadata states it."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import ChannelCorrupt
from deployments.targets.trust.card import FileName, Sha256

FORMAT: Final = 1


class Release(BaseModel):
    """One numbered release.

    Attributes:
        format: Version of this record.
        channel: Name of the channel.
        number: 1 for the first release of the channel, then one more each.
        model_id: Identity of the model.
        artifact: Name of the artifact among the run's candidates, such as "int8".
        file: Its file name.
        sha256: Digest of its bytes.
        size_bytes: Their number.
        receipt: sha256 of the receipt that cleared it.
        expected: Number of the release that it followed; None: it was the first.
        published_at: When, ISO 8601 in UTC.
        publication: Random name of this act of publishing, so that two alike never share a byte of
            metadata.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    channel: str
    number: int = Field(ge=1)
    model_id: Sha256
    artifact: str
    file: FileName
    sha256: Sha256
    size_bytes: int
    receipt: Sha256
    expected: int | None
    published_at: str
    publication: str

    @property
    def title(self) -> str:
        """Names it for messages."""
        return f"release {self.number} ({self.artifact} of model {self.model_id[:12]})"

    @classmethod
    def parse(cls, document: object, where: str) -> "Release":
        """Reads the record from signed metadata.

        Raises:
            ChannelCorrupt: It is no release of a format known here.
        """
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise ChannelCorrupt(
                f"release ({where}) must have format {FORMAT}; got {found!r}; use a newer Lepton"
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise ChannelCorrupt(
                f"release ({where}) must follow its format; got {error}; publish it again"
            ) from error
