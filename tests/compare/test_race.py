import json
import os
import signal

import pytest

from wellposed.compare import Entry, race
from wellposed.errors import Interrupted, RecipeError, RunFolderError
from wellposed.recipe import Recipe
from wellposed.runs import RunFolder, Status, exclusive

TABLES = {
    "data": {"name": "digits", "test": 0.2},
    "model": "linear",
    "optimizer": {"name": "sgd", "lr": 0.05},
    "train": {"epochs": 1, "threads": 1},
    "compare": {
        "seeds": [0, 1],
        "methods": {"sgd": {}, "adam": {"optimizer": {"name": "adam", "lr": 0.01}}},
    },
}


def folder_for(path, recipe):
    return RunFolder.create(path, kind="race", recipe=recipe.to_toml(), provenance={})


class Record:
    """A watcher, and an observer that sends a signal after some steps."""

    def __init__(self, stop_after=None):
        self.begun, self.ended, self.steps, self.stop_after = [], [], 0, stop_after

    def begin_race(self, entries):
        self.entries = entries

    def begin_run(self, entry):
        self.begun.append(entry)

    def end_run(self, entry, _):
        self.ended.append(entry)

    def begin(self, start): ...

    def step(self, _):
        self.steps += 1
        if self.steps == self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)

    def record(self, record): ...

    def end(self, outcome): ...


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    recipe = Recipe.from_tables(TABLES)
    folder = folder_for(tmp_path_factory.mktemp("race") / "race", recipe)
    record = Record()
    return race(recipe, folder, observers=[record], watchers=[record]), folder, record


def test_every_method_runs_with_every_seed_in_a_folder_of_its_own(done):
    found, folder, record = done
    assert [path.relative_to(folder.path).as_posix() for path in folder.run_paths()] == [
        "runs/adam/seed-0",
        "runs/adam/seed-1",
        "runs/sgd/seed-0",
        "runs/sgd/seed-1",
    ]
    assert record.begun == record.ended == list(record.entries)
    assert found.metric == "test error"
    assert [m.name for m in found.methods] == ["sgd", "adam"]
    assert [m.optimizer for m in found.methods] == ["sgd", "adam"]
    assert found.equal_budget


def test_the_verdict_is_made_of_the_runs_own_results(done):
    found, folder, _ = done
    for method in found.methods:
        for name, error in zip(method.runs, method.errors, strict=True):
            run = RunFolder.open(folder.path / name)
            assert run.read_json("results.json")["splits"]["test"]["error"] == error
            assert run.status is Status.DONE
    assert folder.status is Status.DONE
    assert folder.read_json("comparison.json") == json.loads(json.dumps(found.to_dict()))


def test_methods_of_a_seed_share_their_split_and_seeds_do_not(done):
    _, folder, _ = done
    parts = {
        run.path.relative_to(folder.path).as_posix(): run.read_json("data.json")["parts"]
        for run in folder.runs()
    }
    assert parts["runs/sgd/seed-0"] == parts["runs/adam/seed-0"]
    assert parts["runs/sgd/seed-0"] != parts["runs/sgd/seed-1"]


def test_the_same_call_again_repeats_nothing(done):
    found, folder, _ = done
    record = Record()
    again = race(Recipe.from_tables(TABLES), folder, observers=[record], watchers=[record])
    assert again == found
    assert record.begun == []
    assert len(record.ended) == 4


def test_an_interrupted_race_ends_as_if_it_had_not_been(done, tmp_path):
    found, whole, _ = done
    recipe = Recipe.from_tables(TABLES)
    folder = folder_for(tmp_path / "race", recipe)
    record = Record(stop_after=15)  # in the second run
    with pytest.raises(Interrupted, match=rf"wellposed resume {folder.path}$") as caught:
        race(recipe, folder, observers=[record], watchers=[record])
    assert caught.value.signal == signal.SIGINT
    assert folder.status is Status.INTERRUPTED
    assert record.ended == [Entry("sgd", 0)]
    record = Record()
    again = race(recipe, folder, observers=[record], watchers=[record])
    assert record.begun[0] == Entry("adam", 0)
    assert Entry("sgd", 0) not in record.begun
    assert [m.errors for m in again.methods] == [m.errors for m in found.methods]
    for name in (m.runs[0] for m in found.methods):
        logs = [RunFolder.open(f.path / name).log.read() for f in (folder, whole)]
        assert logs[0] == logs[1]


def test_a_race_that_another_process_runs_is_left_alone(tmp_path):
    recipe = Recipe.from_tables(TABLES)
    folder = folder_for(tmp_path / "race", recipe)
    with exclusive(folder.path), pytest.raises(RunFolderError, match="another process"):
        race(recipe, folder)
    assert folder.runs() == []


def test_a_run_folder_that_was_being_made_is_made_again(tmp_path):
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0]}})
    folder = folder_for(tmp_path / "race", recipe)
    half = folder.path / "runs" / "sgd" / "seed-0"
    half.mkdir(parents=True)
    (half / "recipe.toml").write_text("half of it")
    assert race(recipe, folder).methods[0].errors[0] < 0.5


def test_a_run_folder_that_leads_elsewhere_is_refused(tmp_path):
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0]}})
    folder = folder_for(tmp_path / "race", recipe)
    precious = tmp_path / "home" / "seed-0"
    precious.mkdir(parents=True)
    (precious / "recipe.toml").write_text("years of work")
    (folder.path / "runs").mkdir()
    (folder.path / "runs" / "sgd").symlink_to(tmp_path / "home")
    with pytest.raises(RunFolderError, match="by a symbolic link, and those are not followed"):
        race(recipe, folder)
    assert (precious / "recipe.toml").read_text() == "years of work"


def test_a_folder_in_the_way_is_left_alone(tmp_path):
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0]}})
    folder = folder_for(tmp_path / "race", recipe)
    other = folder.path / "runs" / "sgd" / "seed-0" / "thesis.txt"
    other.parent.mkdir(parents=True)
    other.write_text("years of work")
    with pytest.raises(RunFolderError, match="is not empty"):
        race(recipe, folder)
    assert other.read_text() == "years of work"


def test_a_diverged_run_is_reported_and_does_not_stop_the_others(tmp_path):
    methods = {"wild": {"optimizer": {"name": "sgd", "lr": 1e38}}, "tame": {}}
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0], "methods": methods}})
    folder = folder_for(tmp_path / "race", recipe)
    found = race(recipe, folder)
    assert found.methods[0].errors == (1.0,)
    assert found.methods[0].diverged == (0,)
    assert found.best.name == "tame"
    assert "wild diverged in 1 of 1 runs" in found.statement
    record = Record()
    assert race(recipe, folder, watchers=[record]) == found  # nor is it tried again
    assert record.begun == []


def test_another_fault_stops_the_race_and_is_not_the_method_s(tmp_path, monkeypatch):
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0]}})
    folder = folder_for(tmp_path / "race", recipe)

    def full(*_, **__):
        raise RunFolderError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("wellposed.compare._race.fit", full)
        with pytest.raises(RunFolderError, match="the disk is full"):
            race(recipe, folder)
    assert folder.status is Status.FAILED
    assert race(recipe, folder).methods[0].errors[0] < 0.5


def test_a_training_that_leaves_no_result_is_said(tmp_path, monkeypatch):
    recipe = Recipe.from_tables(TABLES | {"compare": {"seeds": [0]}})
    folder = folder_for(tmp_path / "race", recipe)
    monkeypatch.setattr("wellposed.compare._race.fit", lambda *_, **__: None)
    with pytest.raises(RunFolderError, match="is not finished although its training ended"):
        race(recipe, folder)


def test_all_methods_are_checked_before_the_first_run(tmp_path):
    wrong = {"methods": {"a": {}, "b": {"optimizer": {"name": "sgd", "lrr": 1}}}}
    recipe = Recipe.from_tables(TABLES | {"compare": wrong})
    folder = folder_for(tmp_path / "race", recipe)
    with pytest.raises(RecipeError, match="SGD has no argument 'lrr'"):
        race(recipe, folder)
    assert folder.run_paths() == []
