import signal

import pytest

from wellposed.cli._job import _resumable, carry_out, memory_words
from wellposed.cli._output import Output
from wellposed.errors import Interrupted, RunFolderError
from wellposed.recipe import Recipe
from wellposed.runs import RunFolder


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (3e6, "3.0 MB"), (8e9, "8.0 GB")],
)
def test_memory_is_told_in_the_unit_people_use(size, words):
    assert memory_words(size) == words


@pytest.mark.parametrize(
    ("error", "number"), [(KeyboardInterrupt(), signal.SIGINT), (SystemExit(143), signal.SIGTERM)]
)
def test_a_signal_between_trainings_can_be_resumed_too(tmp_path, error, number):
    resume = f"wellposed resume {tmp_path}"
    with pytest.raises(Interrupted, match=resume) as caught, _resumable(tmp_path):
        raise error
    assert caught.value.signal == number


def test_another_exit_is_not_a_signal(tmp_path):
    with pytest.raises(SystemExit, match="3"), _resumable(tmp_path):
        raise SystemExit(3)


def test_results_stand_even_where_the_report_cannot_be_written(tmp_path, monkeypatch, capsys):
    tables = {"data": "digits", "model": "linear", "optimizer": "sgd", "train": {"epochs": 1}}
    recipe = Recipe.from_tables(tables)
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe=recipe.to_toml(), provenance={})

    def full(_):
        raise RunFolderError("the disk is full")

    monkeypatch.setattr("wellposed.report.render", full)
    assert carry_out(folder, Output(), None) == 0
    out = capsys.readouterr().out
    assert "The report could not be written: the disk is full" in out
    assert out.splitlines()[-1] == f"Results: {folder.path}"
