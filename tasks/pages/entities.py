"""Names entities for people: of their own names a data set keeps but a hash."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID
from storage.upkeep.quarantine import name_source

MOST_ENTITIES = 200


def name_entities(raw: Version, wanted: NDArray[np.int64]) -> Mapping[int, str]:
    """Name entities by the file that each of them has for its own, else by their first rows.

    Args:
        raw: The raw version, which knows from where its rows come.
        wanted: Ids of entities; of more than `MOST_ENTITIES` none is named.

    Returns:
        A name for each that was found.
    """
    left = set(np.unique(wanted).tolist())
    if len(left) > MOST_ENTITIES:
        return {}
    places: dict[int, str] = {}
    for entry in raw.shards:
        if not left:
            break
        ids = raw.read_shard(entry, (SERIES_ID,), verify=False)[SERIES_ID]
        here, first = np.unique(ids, return_index=True)
        for entity, place in zip(here.tolist(), first.tolist(), strict=True):
            if entity in left:
                places[entity] = name_source(entry, place)
                left.discard(entity)
    files = {entity: source.rpartition(":")[0] or source for entity, source in places.items()}
    if len(set(files.values())) == len(files) > 1:
        return files
    return {entity: f"from {source} on" for entity, source in places.items()}
