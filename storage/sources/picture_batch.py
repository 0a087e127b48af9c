"""Gathers consecutive pictures of an archive until they make a part."""

from storage.forms.base import MAX_CLASSES_NAMED
from storage.sources.base import Part
from storage.sources.picture_labels import Labeller
from storage.sources.tar import Member


class PictureBatch:
    """Consecutive pictures of one archive that are going to be one part."""

    def __init__(self, archive: str, labeller: Labeller) -> None:
        self.split = ""
        self.pictures: list[tuple[str, int, int]] = []
        self.faults: list[tuple[str, str]] = []
        self._archive = archive
        self._labeller = labeller
        self._start = 0
        self._data: list[bytes] = []
        self._size = 0

    def is_full(self, rows: int, target_bytes: int) -> bool:
        """Return whether another picture would be too many, decoded or as it is."""
        return len(self.pictures) >= rows or self._size >= target_bytes

    def add(self, member: Member, label: int) -> None:
        """Takes one picture in."""
        self.pictures.append((member.name, label, len(member.data)))
        self._data.append(member.data)
        self._size += len(member.data)

    def take(self) -> Part:
        """Return the part, and an empty batch afterwards."""
        stop = self._start + len(self.pictures)
        strange = self._labeller.name_strange([label for _, label, _ in self.pictures])
        detail = {
            "pictures": self.pictures,
            "faults": self.faults,
            "strange": strange[:MAX_CLASSES_NAMED],
        }
        part = Part(
            self._archive,
            self._start,
            stop,
            split=self.split,
            detail=detail,
            payload=b"".join(self._data),
        )
        self._start = stop
        self.pictures, self.faults, self._data, self._size = [], [], [], 0
        return part
