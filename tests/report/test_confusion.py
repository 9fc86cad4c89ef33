import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.report._confusion import class_name, confusion

tables = st.integers(1, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(0, 1000), min_size=n, max_size=n), min_size=n, max_size=n
    )
)


def test_table_and_sentence():
    found = confusion([[8, 2, 0], [0, 10, 0], [1, 0, 0]], ["cat", "dog"])
    assert found.names == ["cat", "dog", "2"]
    assert [[cell.text for cell in row.cells] for row in found.rows] == [
        ["8", "2", ""],
        ["", "10", ""],
        ["1", "", ""],
    ]
    assert [(row.missed, row.total) for row in found.rows] == [("2", "10"), ("0", "10"), ("1", "1")]
    assert found.sentence == "Most often: cat taken for dog (twice) and 2 taken for cat (once)."
    assert found.rows[0].cells[1].said == "2 of cat taken for dog"


def test_shade_tells_hits_from_misses_and_many_from_few():
    row = confusion([[90, 9, 1], [0, 1, 0], [0, 0, 1]], []).rows[0]
    assert [cell.look for cell in row.cells] == ["hit-4", "miss-2", "miss-1"]


def test_no_mistake_is_said():
    found = confusion([[3, 0], [0, 4]], ["a", "b"])
    assert found.sentence == "No example was taken for another class."


@pytest.mark.parametrize("counts", [[], [[0, 0], [0, 0]]], ids=["none", "zeros"])
def test_nothing_counted_is_no_table(counts):
    assert confusion(counts, []) is None


def test_too_many_classes_keep_the_sentence():
    counts = [[0] * 40 for _ in range(40)]
    counts[3][7] = 12
    found = confusion(counts, [])
    assert found.rows == []
    assert found.sentence == "Most often: 3 taken for 7 (12 times)."


@given(counts=tables)
def test_every_count_is_shown(counts):
    found = confusion(counts, [])
    if found is not None:
        shown = [[int(c.text.replace("\u202f", "") or 0) for c in row.cells] for row in found.rows]
        assert shown == counts


def test_unknown_class_goes_by_its_number():
    assert class_name(1, ["a", "b"]) == "b"
    assert class_name(-1, ["a", "b"]) == "-1"
    assert class_name(9, ["a", "b"]) == "9"


def test_a_long_class_name_leaves_room_for_the_counts():
    found = confusion([[1, 2], [0, 3]], ["x" * 100 + "the end", "b" * 28])
    assert found.names == ["x" * 18 + "…xxthe end", "b" * 28]
    assert found.rows[0].name == found.names[0]
