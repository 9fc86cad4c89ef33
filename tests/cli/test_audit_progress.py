import io

import pytest
from rich.console import Console

from wellposed.audit import CHECKS, Plan
from wellposed.cli._audit_progress import AuditProgress, value_words
from wellposed.cli._output import Output
from wellposed.runs import Audit, Finding, RunFolder, Verdict


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "a", kind="audit", recipe="", provenance={})


PLAN = Plan(CHECKS[:2], (300, 100), 0.01, "quick")
INF, NAN = float("inf"), float("nan")
FINDING = Finding("weights", Verdict.PASS, "Fine.")


def test_lines_say_plan_and_findings(folder, capsys):
    with AuditProgress(Output(), lambda audit: audit.write(folder)) as progress:
        progress.begin(PLAN)
        progress.begin_check(CHECKS[0])
        progress.end_check(FINDING, Audit({}, "quick", 0, (FINDING,), complete=False))
    plan, line = capsys.readouterr().out.splitlines()
    assert plan == (
        "2 checks at the quick budget: about 400 gradient evaluations of one example, "
        "4 s at 10 ms each"
    )
    assert line.split()[:3] == ["1/2", "pass", "weights"]


def test_every_finding_is_kept_at_once(folder):
    with AuditProgress(Output(), lambda audit: audit.write(folder)) as progress:
        progress.begin(PLAN)
        progress.end_check(FINDING, Audit({}, "quick", 0, (FINDING,), complete=False))
    kept = Audit.read(folder)
    assert kept.findings == (FINDING,)
    assert not kept.complete


def test_a_terminal_gets_a_bar_with_the_time_left(folder, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress = AuditProgress(Output(), lambda audit: audit.write(folder))
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    progress._bar.live.console = screen
    with progress:
        progress.begin(PLAN)
        progress.begin_check(CHECKS[0])
        [task] = progress._bar.tasks
        assert task.description == CHECKS[0].name
        assert task.fields["left"] == "about 4 s left"
        progress.end_check(FINDING, Audit({}, "quick", 0, (FINDING,), complete=False))
        assert progress._bar.tasks[0].completed == 0.75


@pytest.mark.parametrize(
    ("value", "interval", "unit", "words"),
    [
        (None, None, "", ""),
        (0.1234, None, "share", "12.3 %"),
        (0.1234, (0.1, 0.15), "share", "12.3 % [10, 15]"),
        (3.0, (3.0, 3.0), "entries", "3"),
        (2.5, (2.0, 3.0), "", "2.5 [2, 3]"),
        (INF, (19.1, INF), "", "infinite [at least 19.1]"),
        (INF, (INF, INF), "times", "infinite"),
        (2.5, (-INF, INF), "", "2.5 [no bounds]"),
        (NAN, (NAN, NAN), "share", "not a number [unknown]"),
    ],
)
def test_values_are_short(value, interval, unit, words):
    finding = Finding("a", Verdict.PASS, "b", value=value, interval=interval, unit=unit)
    assert value_words(finding) == words
