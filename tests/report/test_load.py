import shutil

import pytest

from wellposed.errors import RunFolderError
from wellposed.report._load import Origin, load_race, load_run
from wellposed.runs import RunFolder, Status


def test_whole_run_has_no_gaps(run_folder):
    run = load_run(run_folder)
    assert run.gaps == []
    assert run.status is Status.DONE
    assert run.origin.name("model") == "lenet"
    assert run.origin.fact("command") == "wellposed train digits.toml --seed 0"
    assert run.clock["step"] == 780
    assert run.choices["precision"] == "float32"


def test_new_run_has_gaps_and_no_error(tmp_path):
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})
    run = load_run(folder)
    assert run.results is None
    assert run.data is None
    assert run.clock == {}
    assert run.gaps == [
        "data.json is not there.",
        "results.json is not there.",
        "log.jsonl holds no records, so there are no curves.",
    ]


@pytest.mark.parametrize("recipe", ["seed = ", "a = 'x'\na = 'y'"], ids=["cut", "twice"])
def test_recipe_that_is_no_toml_is_a_gap(tmp_path, recipe):
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe=recipe, provenance={})
    run = load_run(folder)
    assert run.gaps[0].startswith("recipe.toml: ")
    assert run.origin.recipe == recipe
    assert run.origin.name("model") == ""


def test_changed_recipe_is_not_shown(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    (folder.path / "recipe.toml").write_text("seed = 5")
    run = load_run(folder)
    assert "was changed" in run.gaps[0]
    assert run.origin.recipe == ""


def test_damaged_clock_is_a_gap(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    folder.write("clock.jsonl", "garbage\n")
    assert "clock.jsonl, line 1, is damaged" in load_run(folder).gaps[0]


def test_names_that_are_no_words_are_nothing():
    origin = Origin("", {"model": {"name": ["a"]}, "data": "digits", "train": {"epochs": 3}}, None)
    assert origin.name("model") == origin.name("data") == origin.name("nothing") == ""
    assert origin.name("train", "epochs") == "3"
    assert origin.fact("command") == ""
    assert Origin("", {}, {"command": 3}).fact("command") == ""


def test_race_with_its_runs(race_folder):
    race = load_race(race_folder)
    assert race.gaps == []
    assert race.status is Status.DONE
    assert len(race.runs) == 12
    assert race.runs["runs/adamw/seed-1"].results.splits["test"].n == 360


def test_damaged_run_of_a_race_is_a_gap(make_race, tmp_path):
    race = make_race(tmp_path / "race", methods={"sgd": 0.03, "adamw": 0.04}, steps=40)
    (race.path / "runs" / "sgd" / "seed-0" / "run.json").write_text("{")
    shutil.rmtree(race.path / "runs" / "sgd" / "seed-1")
    found = load_race(race)
    assert len(found.runs) == 4
    assert "seed-0/run.json is damaged" in found.gaps[0]


def test_too_many_runs_are_not_all_read(make_race, tmp_path, monkeypatch):
    monkeypatch.setattr("wellposed.report._load._RUNS", 3)
    race = load_race(make_race(tmp_path / "race", steps=40))
    assert len(race.runs) == 3
    assert race.gaps == ["Of 12 runs, the curves of 3 are shown."]


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        load_run(RunFolder(tmp_path))
    with pytest.raises(RunFolderError, match="is not a run folder"):
        load_race(RunFolder(tmp_path))
