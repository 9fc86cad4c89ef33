import json

import pytest

from wellposed.report._load import load_run
from wellposed.report._pictures import Album
from wellposed.report._run import view_run
from wellposed.runs import RunFolder, Status


def readable(text):
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def view(folder):
    return view_run(load_run(folder), Album())


@pytest.fixture
def empty(tmp_path):
    recipe = '[model]\nname = "mlp"\n'
    return RunFolder.create(tmp_path / "run", kind="run", recipe=recipe, provenance={})


def test_finished_run(run_folder):
    found = view(run_folder)
    assert (found.title, found.method) == ("lenet on digits", "trained with entropysgd")
    assert readable(found.lead) == (
        "The network got 13 of 360 test examples wrong: a test error of 3.6 %, "
        "with a 95 % interval from 1.7 to 5.5 %."
    )
    assert [(name, readable(text)) for name, text in found.tiles] == [
        ("test error", "3.6 %"),
        ("gradient evaluations", "780"),
        ("time", "8.7 s"),
        ("examples per second", "2 806"),
        ("optimizer memory", "41 kB"),
        ("parameters", "5 154"),
    ]
    assert [row[0] for row in found.splits] == ["test", "validation", "train"]
    assert readable(found.splits[0][4]) == "1.7 to 5.5 %, at 95 %"
    assert found.weights == "the anchor of the relaxation"
    assert len(found.mistakes) == 12
    assert found.mistakes[0].picture.startswith("data:image/png;base64,")
    assert readable(found.mistakes[0].confidence) == "99.9 %"
    assert len(found.filters) == 4
    assert found.confusion_part == "test"
    assert ("machine cores", "2") in found.origins.rows
    assert found.origins.command == "wellposed train digits.toml --seed 0"
    assert found.origins.again == [f"wellposed train {run_folder.path}/recipe.toml"]
    assert ("input shape", "1 x 8 x 8") in found.data
    assert found.gaps == []


@pytest.mark.parametrize(
    ("status", "lead"),
    [
        (Status.RUNNING, "The run is not finished: the last record is at step 100."),
        (Status.INTERRUPTED, "The run was interrupted at step 100; it can be resumed."),
        (Status.FAILED, "The run failed at step 100."),
        (Status.DONE, "The run is done, but its results are missing."),
    ],
    ids=str,
)
def test_run_without_results_says_how_far_it_is(make_run, tmp_path, status, lead):
    folder = make_run(tmp_path / "run", steps=100)
    (folder.path / "results.json").unlink()
    folder.set_status(status)
    found = view(folder)
    assert found.lead == lead
    assert found.gaps == ["results.json is not there."]
    assert ("gradient evaluations", "100") in found.tiles
    assert ("examples per second", "2\u202f880") in found.tiles
    assert (len(found.origins.again) == 2) == (status is not Status.DONE)


def test_failed_run_says_why(empty):
    empty.set_status(Status.FAILED, diverged="the loss became nan at step 3", message="so it is")
    found = view(empty)
    assert (
        found.lead
        == "The run failed before its first record. The loss became nan at step 3. So it is."
    )


def test_run_that_has_hardly_begun(empty):
    found = view(empty)
    assert found.title == "mlp"
    assert found.lead == "The run is not finished: there is no record yet."
    assert found.charts == found.filters == found.mistakes == found.costs == []
    assert found.confusion is None


def test_untitled_run(tmp_path):
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})
    assert (view(folder).title, view(folder).method) == ("A training run", "")


def test_result_without_test_part_is_about_validation(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=40)
    results = json.loads((folder.path / "results.json").read_text())
    del results["splits"]["test"]
    results["splits"]["validation"]["error_interval"] = None
    results["weights"] = "mine"
    folder.write_json("results.json", results)
    found = view(folder)
    assert "validation examples wrong" in found.lead
    assert found.weights == "mine"
    assert found.splits[0][4] == "not known"


def test_missed_goals_and_the_part_that_is_shown(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=40)
    results = json.loads((folder.path / "results.json").read_text())
    goals = ["test_error is 0.0361, above the goal of 0.01"]
    folder.write_json("results.json", results | {"missed_goals": goals, "shown": "validation"})
    found = view(folder)
    assert found.missed == goals
    assert found.confusion_part == "validation"


def test_bad_pictures_leave_a_gap_and_the_words(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=40)
    folder.write("pictures/mistake-00.png", "no picture")
    found = view(folder)
    assert found.mistakes[0].picture is None
    assert found.mistakes[0].true in {str(k) for k in range(10)}
    assert "it is not a PNG file" in found.gaps[0]
