import json
import shutil

import pytest

from wellposed.report._load import load_race
from wellposed.report._pictures import Album
from wellposed.report._race import view_race
from wellposed.runs import RunFolder, Status


def readable(text):
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def view(folder):
    return view_race(load_race(folder), Album())


def edit(folder, change):
    comparison = json.loads((folder.path / "comparison.json").read_text())
    change(comparison)
    folder.write_json("comparison.json", comparison)


@pytest.fixture
def small(make_race, tmp_path):
    return make_race(tmp_path / "race", methods={"sgd": 0.03, "adamw": 0.04}, steps=40)


def test_finished_race(race_folder):
    found = view(race_folder)
    assert (found.title, found.method) == ("lenet on digits", "4 methods, 3 seeds each")
    assert found.lead.startswith("No winner: with 3 seeds")
    assert [m.name for m in found.methods] == ["sgd", "sgd-ema", "adamw", "entropysgd"]
    assert readable(found.methods[0].cells[0]) == "3.60 \u00b1 0.07 %"
    assert found.methods[0].cells[2:4] == ["3", "780"]
    assert found.closer.name == "entropysgd"
    assert found.closer.run_name == "seed 0"
    assert len(found.closer.run.mistakes) == 12
    assert [m.name for m in found.others] == ["sgd", "sgd-ema", "adamw"]
    assert len(found.pairs) == 6
    assert found.pairs[0].names == "sgd \u2212 sgd-ema"
    assert found.pairs[0].difference == "+0.8"
    assert [chart.heading for chart in found.charts] == [
        "Validation error", "Training error", "Objective", "Step size", "Gradient norm",
    ]  # fmt: skip
    assert found.gaps == []
    assert readable(found.level) == "95 %"


def test_race_under_way_shows_what_is_there(make_race, tmp_path):
    race = make_race(tmp_path / "race", steps=40, compared=False)
    running = race.path / "runs" / "adamw" / "seed-2"
    (running / "results.json").unlink()
    RunFolder.open(running).set_status(Status.RUNNING)
    found = view(race)
    assert found.lead.startswith("The race is not finished: results are there from 11 runs")
    assert [m.cells[2] for m in found.methods] == ["2", "3", "3", "3"]  # by name, adamw first
    assert found.closer.name == "entropysgd"
    assert found.pairs == []
    assert found.gaps == ["comparison.json is not there.", "Not done: runs/adamw/seed-2."]
    assert any("resume" in line for line in found.origins.again)


def test_race_that_has_not_begun(tmp_path):
    race = RunFolder.create(tmp_path / "race", kind="race", recipe="", provenance={})
    found = view(race)
    assert found.title == "A comparison"
    assert found.lead.startswith("The race is not finished: results are there from 0 runs")
    assert found.methods == found.others == found.charts == []
    assert found.closer is None
    assert found.interval_narrow == ""


def test_comparison_whose_runs_are_gone(small):
    shutil.rmtree(small.path / "runs")
    found = view(small)
    assert found.closer is None
    assert [m.run for m in found.methods] == [None, None]
    assert found.interval_wide


def test_paths_elsewhere_are_not_followed(small, run_folder):
    def escape(comparison):
        comparison["methods"][0]["runs"] = [str(run_folder.path), "../../etc", "runs/adamw/seed-1"]
        comparison["methods"][1]["runs"] = []

    edit(small, escape)
    found = view(small)
    assert found.methods[0].run_name == "seed 1"
    assert found.methods[1].run_name == "seed 0"


def test_without_relaxation_the_first_method_is_looked_at(small):
    found = view(small)
    assert found.closer.name == "sgd"


def test_numbers_that_are_missing_are_said_to_be(small):
    def forget(comparison):
        comparison["seeds"] = []
        comparison["methods"][0] = {"name": "sgd"}
        comparison["methods"][1] |= {"standard_error": None, "interval": None}
        comparison["pairs"][0] |= {"decided": True, "difference": -0.1}
        comparison["methods"][1]["diverged"] = [2]
        comparison["pairs"].append(comparison["pairs"][0] | {"decided": False})

    edit(small, forget)
    found = view(small)
    assert found.method == "2 methods"
    assert found.methods[0].cells == ["not known", "not known", "0"] + ["not known"] * 4
    assert readable(found.methods[1].cells[0]).endswith(" %")
    assert "\u00b1" not in found.methods[1].cells[0]
    assert [pair.verdict for pair in found.pairs] == ["sgd has the smaller error", "not decided"]
    assert found.methods[1].cells[2] == "3 (1 diverged)"


def test_many_unfinished_runs_are_not_all_named(make_race, tmp_path):
    race = make_race(tmp_path / "race", steps=40)
    for run in race.runs():
        run.set_status(Status.INTERRUPTED)
    assert view(race).gaps[0].endswith("and others.")
