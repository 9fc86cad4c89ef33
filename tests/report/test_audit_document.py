import json

import pytest

from wellposed.report._audit_document import has_audit, read_audit
from wellposed.runs import Verdict


def test_findings_come_the_most_urgent_first(audit_folder):
    gaps = []
    audit = read_audit(audit_folder, gaps)
    assert gaps == []
    assert [f.verdict.value for f in audit.findings] == ["fail", "warn", "unknown", "pass"]
    assert audit.counts == dict.fromkeys(Verdict, 1)
    assert next(iter(audit.counts)) is Verdict.FAIL
    assert audit.findings[0].interval == (29.8, 33.1)
    assert audit.complete
    assert has_audit(audit_folder)


def test_a_damaged_finding_is_said_and_the_others_are_read(audit_folder):
    value = audit_folder.read_json("findings.json")
    value["findings"][1]["verdict"] = "splendid"
    value["findings"].append("no finding")
    audit_folder.write_json("findings.json", value)
    gaps = []
    audit = read_audit(audit_folder, gaps)
    assert len(audit.findings) == 3
    assert len(gaps) == 2
    assert gaps[0].startswith("Finding 1 of findings.json is not shown: verdict")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"format": 2}', '{"format": 1, "subject": 3}', '{"a": NaN}']
)
def test_a_damaged_document_is_said(audit_folder, text):
    (audit_folder.path / "findings.json").write_text(text)
    gaps = []
    assert read_audit(audit_folder, gaps) is None
    assert len(gaps) == 1
    assert "findings.json" in gaps[0]


def test_numbers_that_json_does_not_have_and_texts_without_end(audit_folder):
    value = audit_folder.read_json("findings.json")
    value["findings"] = [
        {"check": "x" * 1000, "verdict": "warn", "statement": "y" * 2000, "value": "nan",
         "interval": ["-inf", "inf"], "figures": [{}] * 15}
    ] * 300  # fmt: skip
    audit_folder.write_json("findings.json", value)
    gaps = []
    audit = read_audit(audit_folder, gaps)
    assert len(audit.findings) == 200
    assert gaps == ["Of 300 findings, 200 are shown."]
    finding = audit.findings[0]
    assert (len(finding.check), len(finding.statement), len(finding.figures)) == (200, 1500, 12)
    assert finding.value != finding.value
    assert finding.interval == (float("-inf"), float("inf"))


def test_a_link_in_place_of_the_findings_is_said(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=40)
    assert not has_audit(folder)
    outside = tmp_path / "elsewhere.json"
    outside.write_text(json.dumps({"format": 1}))
    (folder.path / "findings.json").symlink_to(outside)
    gaps = []
    assert has_audit(folder)
    assert read_audit(folder, gaps) is None
    assert "symbolic link" in gaps[0]
