import json
import shutil

import pytest

from wellposed.audit import CHECKS, _examine
from wellposed.cli._beside import beside, found_before, kept_words, put_aside
from wellposed.runs import Audit, Finding, RunFolder, Verdict

FEW = ("--examples", "20", "--budget", "fast", "--eps", "0.02")


def audit(*names, subject="a", budget="standard", seed=0, **more):
    findings = tuple(Finding(name, Verdict.PASS, f"{name} of {budget}.") for name in names)
    return Audit({"name": subject}, budget, seed, findings, **more)


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "mine")


@pytest.fixture
def folder(run):
    return RunFolder.open(run)


def test_a_whole_audit_keeps_what_it_does_not_ask(cli, run, finished, tmp_path, monkeypatch):
    again = shutil.copytree(finished, tmp_path / "again")
    assert cli("robustness", run, *FEW, "--transfer", again).code == 0
    matrix = Audit.read(RunFolder.open(run))["transfer"]
    monkeypatch.setattr(
        _examine, "CHECKS", [c for c in CHECKS if c.name in {"weights", "gap"}]
    )  # a whole audit, of two checks
    found = cli("audit", run)
    assert found.code == 0, found.err
    assert "2 of them are kept from earlier: robustness, transfer." in found.out
    after = Audit.read(RunFolder.open(run))
    assert {f.check for f in after} == {"weights", "gap", "robustness", "transfer"}
    assert after["transfer"].statement == matrix.statement
    assert after["transfer"].figures == matrix.figures
    assert after["transfer"].earlier.startswith("measured on 20")
    assert after["weights"].earlier == ""
    page = (run / "audit.html").read_text()
    assert page.count("at the standard budget; not asked again since") == 2


def test_another_budget_stays_with_what_was_measured_by_it():
    before = audit("slice", "plane", budget="deep", day="2026-11-28")
    found = beside(before, audit("plane"), goes_on=False)
    assert [f.check for f in found.findings] == ["slice", "plane"]
    note = "measured on 2026-11-28 at the deep budget; not asked again since"
    assert found["slice"].earlier == note
    assert found["plane"].statement == "plane of standard."
    later = beside(found, audit("gap"), goes_on=False)
    assert later["slice"].earlier == note  # the first day counts
    assert later["plane"].earlier.startswith("measured earlier at the standard")


def test_an_audit_that_goes_on_has_no_earlier_findings():
    before = audit("slice", "plane", complete=False)
    assert not any(f.earlier for f in beside(before, audit("slice"), goes_on=True))


def test_findings_about_something_else_are_put_aside(folder):
    assert put_aside(folder, found_before(folder), {"name": "a"}, 0) == ""
    audit("slice").write(folder)
    before = found_before(folder)
    assert put_aside(folder, before, {"name": "a"}, 0) == ""
    text = folder.read("findings.json")
    said = put_aside(folder, before, {"name": "a", "weights_sha256": "b"}, 0)
    assert said.endswith("are of another state of the weights; they are kept in findings-1.json.")
    said = put_aside(folder, before, {"name": "b", "examples_sha256": "c"}, 1)
    assert said.endswith("are of another seed and name; they are kept in findings-2.json.")
    assert folder.read("findings-1.json") == folder.read("findings-2.json") == text
    for other in (audit("plane", subject="b"), audit("plane", seed=1)):
        assert beside(before, other, goes_on=False) == other


def test_findings_that_cannot_be_read_are_put_aside(cli, run):
    (run / "findings.json").write_text("{")
    found = cli("audit", run, "--only", "weights")
    assert found.code == 0, found.err
    assert "could not be read; they are kept in findings-1.json" in " ".join(found.out.split())
    assert (run / "findings-1.json").read_text() == "{"
    assert json.loads((run / "findings.json").read_text())["day"].startswith("20")


def test_what_is_kept_is_said_in_a_sentence():
    assert kept_words(audit("slice")) == ""
    one = beside(audit("slice"), audit("gap"), goes_on=False)
    assert kept_words(one) == "1 of them is kept from earlier: slice."
