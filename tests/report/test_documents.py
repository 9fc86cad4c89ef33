import pytest

from wellposed.report._documents import Comparison, Data, Results, flatten, read_document
from wellposed.runs import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})


def test_reads_what_was_written(run_folder, race_folder):
    gaps = []
    results = read_document(run_folder, "results.json", Results, gaps)
    assert results.splits["test"].n == 360
    assert results.cost.parameters == 5154
    assert read_document(run_folder, "data.json", Data, gaps).parts["train"].n == 1222
    comparison = read_document(race_folder, "comparison.json", Comparison, gaps)
    assert [m.name for m in comparison.methods] == ["sgd", "sgd-ema", "adamw", "entropysgd"]
    assert gaps == []


def test_missing_file_is_a_gap(folder):
    gaps = []
    assert read_document(folder, "results.json", Results, gaps) is None
    assert gaps == ["results.json is not there."]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the whole: Input should be a valid dictionary"),
        ({"splits": {"test": {"n": -1, "loss": 0, "error": 0}}}, "splits.test.n"),
        ({"splits": {"test": {"n": 1, "loss": 0, "error": 3}}}, "splits.test.error"),
        ({"splits": [1]}, "splits"),
        ({"confusion": [[1, 2]]}, "confusion is not a square table"),
        ({"mistakes": [{"index": 0, "target": "x", "predicted": 1, "confidence": 1}]}, "mistakes"),
    ],
    ids=range(6),
)
def test_wrong_content_is_a_gap(folder, value, reason):
    folder.write_json("results.json", value)
    gaps = []
    assert read_document(folder, "results.json", Results, gaps) is None
    assert "results.json is not shown" in gaps[0]
    assert reason in gaps[0]


def test_damaged_file_is_a_gap(folder):
    folder.write("results.json", '{"weights": ')
    gaps = []
    assert read_document(folder, "results.json", Results, gaps) is None
    assert "is damaged" in gaps[0]


def test_not_finite_values_and_unknown_keys_are_fine(folder):
    splits = {"test": {"n": 3, "loss": float("nan"), "error": 1, "mood": "good"}}
    folder.write_json("results.json", {"splits": splits, "weather": "fine"})
    found = read_document(folder, "results.json", Results, [])
    assert found.splits["test"].loss != found.splits["test"].loss


def test_long_texts_are_cut(folder):
    folder.write_json("data.json", {"name": "x" * 10_000, "classes": ["y" * 10_000]})
    found = read_document(folder, "data.json", Data, [])
    assert len(found.name) == len(found.classes[0]) == 200


def test_flatten():
    value = {"a": {"b": 1, "c": None}, "d": [1, 2], "e": [{"f": "g"}, 3]}
    assert flatten(value) == [("a b", "1"), ("d", "1, 2"), ("e 0 f", "g"), ("e 1", "3")]
    assert flatten(None) == []
    assert flatten("word") == [("", "word")]
    assert len(flatten({str(k): k for k in range(1000)})) == 40
    assert max(len(text) for _, text in flatten({"a": "x" * 1000})) == 400
