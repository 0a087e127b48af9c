"""Names of files as columns: each named part, and all together, which tell folders apart."""

from storage.base.path_patterns import list_end_names, list_names, match_end, match_path

PATTERN = "{state}/{run}.csv"


def test_several_parts_together_are_one_more_column_by_which_equal_file_names_differ() -> None:
    assert list_names(PATTERN) == ("state", "run", "state/run")
    found = [match_path(PATTERN, f"{state}/run0.csv") for state in ("worn", "good")]
    assert found[0] == {"state": "worn", "run": "run0", "state/run": "worn/run0"}
    assert found[0] != found[1]
    assert match_path(PATTERN, "worn/run0.txt") is None


def test_one_part_is_itself_alone_and_the_end_of_a_path_tells_the_same() -> None:
    assert list_names("{pump}.csv") == ("pump",)
    assert match_path("{pump}.csv", "p1.csv") == {"pump": "p1"}
    assert match_end(PATTERN, "/data/worn/run7.csv") == match_path(PATTERN, "worn/run7.csv")
    assert list_end_names("**/{state}/{run}.csv") == list_names(PATTERN)
