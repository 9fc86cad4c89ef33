from dataclasses import replace

import pytest

from wellposed.report._audit import _rounded, brief_audit, view_audit
from wellposed.report._pictures import Album
from wellposed.runs import Audit, Curves, Finding, Series, Verdict


def test_the_view_of_an_audit(audit_folder):
    view = view_audit(audit_folder, Album())
    assert view.title == "lenet on fashion-mnist"
    assert view.status == "done"
    assert view.lead == "Of 4 checks, 1 failed, 1 warn, 1 could not decide and 1 found nothing."
    assert [number for _, number, _ in view.verdicts] == ["1"] * 4
    assert [f.check for f in view.open] == ["sharpness", "gap", "shift"]
    assert [f.check for f in view.passed] == ["weights"]
    assert [name for name, _ in view.groups] == [
        "weights", "generalization", "invariance", "curvature",
    ]  # fmt: skip
    subject = dict(view.subject)
    assert subject["gradient evaluations"] == "12\u202f000"
    assert subject["sha256 of the weights"] == "ab" * 32
    assert subject["time"] == "3.5\u00a0s"
    assert view.gaps == []
    assert view.again == ""
    sharpness = view.open[0]
    assert len(sharpness.figures) == 7
    assert sharpness.remedied == "tried on a copy: 31.4 became 17.2"
    assert sharpness.anchor == "finding-0-sharpness"
    assert ("ritz", "31.4, 12.0") in sharpness.evidence


def test_an_audit_that_was_not_finished_says_so(audit_folder):
    found = Audit.read(audit_folder)
    replace(found, complete=False, findings=found.findings[:1]).write(audit_folder)
    view = view_audit(audit_folder, Album())
    assert view.status == "unfinished"
    assert view.lead.startswith("Of 1 check, all found nothing. The audit was not finished")


def test_without_findings_the_page_says_so(audit_folder):
    (audit_folder.path / "findings.json").unlink()
    view = view_audit(audit_folder, Album())
    assert view.gaps == ["findings.json is not there."]
    assert view.lead == "There is no finding that can be read in findings.json."


def test_a_page_does_not_grow_without_end(audit_folder, make_audit, monkeypatch):
    monkeypatch.setattr("wellposed.report._audit._DRAWINGS", 20_000)
    x = tuple(map(float, range(100)))
    many = (Curves("h", "x", "y", (Series("", x, x),)),) * 9
    finding = Finding("a", Verdict.WARN, "b", figures=many)
    make_audit(audit_folder, [replace(finding, check=f"a{k}") for k in range(2)])
    view = view_audit(audit_folder, Album())
    drawn = sum(len(figure.svg) for f in view.open for figure in f.figures)
    assert 10_000 < drawn <= 20_000
    assert "too large" in view.open[-1].faults[-1]


def test_a_run_says_how_its_audit_went(make_run, make_audit, tmp_path):
    folder = make_run(tmp_path / "my run", steps=40)
    brief = brief_audit(folder)
    assert brief.lead == ""
    assert brief.command == f"wellposed audit '{folder.path}'"
    make_audit(folder)
    brief = brief_audit(folder)
    assert [check for _, check, _ in brief.worst] == ["sharpness", "gap", "shift"]
    assert brief.lead.startswith("Of 4 checks")
    (folder.path / "findings.json").write_text("{")
    brief = brief_audit(folder)
    assert brief.lead == ""
    assert "damaged" in brief.faults[0]


@pytest.mark.parametrize("subject", [{"name": 3, "parameters": "many"}, {"x": {"y": [1, [2]]}}])
def test_a_subject_of_any_kind_is_shown(audit_folder, make_audit, subject):
    make_audit(audit_folder, **subject)
    assert view_audit(audit_folder, Album()).subject


def test_evidence_that_is_not_finite_is_told_in_words():
    value = {"sum": "inf", "parts": ["-inf", "nan", 1.23456789, "norm"]}
    assert _rounded(value) == {
        "sum": "infinite",
        "parts": ["minus infinite", "not a number", 1.23457, "norm"],
    }
