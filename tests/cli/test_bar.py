from rich.progress import TextColumn

from wellposed.cli._bar import Bar
from wellposed.cli._output import Output


def test_a_terminal_sees_one_task_for_as_long_as_the_block_lasts(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Bar(Output(), "race", TextColumn("middle")) as bar:
        [task] = bar._bar.tasks
        assert (task.description, task.total, task.fields["left"]) == ("race", 1.0, "")
        assert len(bar._bar.columns) == 5
        assert bar._bar.live.is_started
    assert not bar._bar.live.is_started


def test_files_and_machines_see_none(monkeypatch):
    with Bar(Output(), "race") as bar:
        assert bar._bar is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Bar(Output(as_json=True), "race") as bar:
        assert bar._bar is None
