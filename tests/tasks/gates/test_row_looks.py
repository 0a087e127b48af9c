"""Pictures that look alike in two splits."""

from gates.prepared.near_duplicates import hash_pictures
from storage.upkeep.known_rows import count_known
from tasks.forms.image import ImageForm
from tasks.gates.row_looks import key_looks
from tests.tasks.forms.parts import SEEDS, make_parts, make_version


@SEEDS
def test_held_out_pictures_that_look_like_training_pictures_are_counted(tmp_path, seed):
    parts = list(make_parts(seed, [40, 10, 30, 30]))
    version = make_version(tmp_path, parts)
    held, train = (
        [
            tuple(pair)
            for name, rows in parts
            if name == split
            for pair in hash_pictures(rows["image"]).tolist()
        ]
        for split in ("held_out", "train")
    )
    wanted = sum(pair in set(train) for pair in held)
    assert bool(wanted) == bool(seed % 2)
    held_out, training = (
        key_looks(version, [split], ImageForm()) for split in ("held_out", "train")
    )
    assert count_known(held_out, [training], 500) == wanted
