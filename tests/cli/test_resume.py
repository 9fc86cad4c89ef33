import os
import signal

import pytest

from wellposed.runs import RunFolder, Status, exclusive

STOP_AT = 7


@pytest.fixture
def interrupted(cli, tmp_path, monkeypatch):
    """A folder whose training was stopped by a signal after a few steps."""

    def stopped(recipe):
        from wellposed.train import steps

        count = 0

        def few(*arguments, **options):
            nonlocal count
            for step in steps(*arguments, **options):
                count += 1
                if count == STOP_AT:
                    os.kill(os.getpid(), signal.SIGINT)
                yield step

        with monkeypatch.context() as patch:
            patch.setattr("wellposed.train._training.steps", few)
            found = cli("train", recipe, "--out", "run")
        assert found.code == 130
        assert "to go on: wellposed resume run\n" in found.err
        return RunFolder.open(tmp_path / "run")

    return stopped


@pytest.mark.parametrize("recipe", ["recipe.toml", "race.toml"])
def test_what_is_resumed_ends_as_if_it_had_not_been_stopped(cli, tmp_path, interrupted, recipe):
    folder = interrupted(recipe)
    assert folder.status is Status.INTERRUPTED
    found = cli("resume", "run")
    assert found.code == 0
    assert found.out.splitlines()[-1] == "Report: run/report.html"
    assert cli("train", recipe, "--out", "whole").code == 0
    whole = RunFolder.open(tmp_path / "whole")
    pairs = zip([folder, *folder.runs()], [whole, *whole.runs()], strict=True)
    for one, other in pairs:
        assert one.log.read() == other.log.read()


def test_what_is_done_is_left_alone(cli, finished):
    before = (finished / "run.json").stat().st_mtime_ns
    found = cli("resume", finished)
    assert (found.code, found.out) == (0, f"{finished} is done already; nothing was left to do.\n")
    assert cli("resume", finished, "--json").records[-1]["already_done"]
    assert (finished / "run.json").stat().st_mtime_ns == before


def test_a_goal_still_counts_after_a_resume(cli, tmp_path):
    assert cli("train", "recipe.toml", "--out", "run", "--set", "goal.test_error=0.0").code == 1
    RunFolder.open(tmp_path / "run").set_status(Status.INTERRUPTED)
    assert cli("resume", "run").code == 1


@pytest.mark.parametrize("words", ["is missing; give a folder", "is not a run folder"])
def test_what_is_no_run_is_refused(cli, tmp_path, words):
    if "not a run" in words:
        (tmp_path / "x").mkdir()
    found = cli("resume", "x")
    assert found.code == 2
    assert words in found.err


def test_a_folder_that_another_process_trains_into_is_refused(cli, tmp_path):
    folder = tmp_path / "run"
    made = RunFolder.create(
        folder, kind="run", recipe=(tmp_path / "recipe.toml").read_text(), provenance={}
    )
    with exclusive(folder):
        found = cli("resume", folder)
    assert found.code == 2
    assert "another process is training into" in found.err
    assert made.status is Status.RUNNING
