import pytest

from wellposed.compare import Entry, Outcome, outcome
from wellposed.errors import RunFolderError
from wellposed.runs import RunFolder, Status

ENTRY = Entry("sgd", 0)
COST = {"gradient_evaluations": 10.0, "seconds": 1.0}


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", kind="run", recipe="seed = 0\n", provenance={})


def finish(folder, results):
    folder.write_json("results.json", results)
    folder.set_status(Status.DONE)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("train", "validation", "test"), "test"),
        (("train", "validation"), "validation"),
        (("train",), "train"),
    ],
)
def test_the_error_is_of_the_part_that_was_seen_least(folder, parts, expected):
    splits = {part: {"n": 10 + k, "error": 0.1 * k} for k, part in enumerate(parts)}
    finish(folder, {"splits": splits, "cost": COST})
    assert outcome(ENTRY, folder) == Outcome(
        ENTRY, splits[expected]["error"], expected, splits[expected]["n"], COST
    )


@pytest.mark.parametrize("status", [Status.RUNNING, Status.INTERRUPTED, Status.FAILED])
def test_what_is_not_finished_has_no_outcome(folder, status):
    folder.set_status(status)
    assert outcome(ENTRY, folder) is None


def test_a_diverged_run_counts_with_the_worst_error(folder):
    folder.set_status(Status.FAILED, diverged="the loss became nan at step 3")
    found = outcome(ENTRY, folder)
    assert (found.error, found.examples, found.cost) == (1.0, 0, {})
    assert found.diverged == "the loss became nan at step 3"


@pytest.mark.parametrize(
    "results", [{}, [], {"splits": {}}, {"splits": {"test": {"n": "x", "error": 0.1}}, "cost": {}}]
)
def test_results_that_say_nothing_are_refused(folder, results):
    finish(folder, results)
    with pytest.raises(RunFolderError, match="does not say error and cost"):
        outcome(ENTRY, folder)
