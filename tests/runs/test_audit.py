import json
import math
from dataclasses import replace

import pytest

from wellposed.errors import RunFolderError, UnknownNameError
from wellposed.runs import Audit, Finding, Picture, Pictures, Threshold, Verdict

SUBJECT = {"name": "LeNet", "parts": {"test": 3}, "weights_sha256": "ab"}
FOUND = (
    Finding("fine", Verdict.PASS, "s"),
    Finding("odd", Verdict.UNKNOWN, "s", math.inf, (0.0, math.inf)),
    Finding(
        "bad", Verdict.FAIL, "s", 2.0, (1.5, 2.0), threshold=Threshold(1, "above", "theorem", "t")
    ),
    Finding(
        "seen", Verdict.WARN, "s", figures=(Pictures("p", ((Picture(b"1", "c"), Picture(b"2")),)),)
    ),
)


@pytest.fixture
def audit():
    return Audit(SUBJECT, "quick", 7, FOUND, complete=False)


def test_is_read_as_it_was_written(audit, folder):
    audit.write(folder)
    assert Audit.read(folder) == audit
    assert folder.read("audit/seen-0-001.png") == b"2"
    assert folder.read_json("findings.json")["counts"] == audit.counts


def test_a_later_one_replaces_it(audit, folder):
    audit.write(folder)
    later = replace(audit, findings=FOUND[:1], complete=True)
    later.write(folder)
    assert Audit.read(folder) == later


def test_urgent_findings_come_first(audit):
    assert [f.check for f in audit] == ["bad", "seen", "odd", "fine"]
    assert len(audit) == 4
    assert audit.counts == {"pass": 1, "warn": 1, "fail": 1, "unknown": 1}


def test_only_passes_pass(audit):
    assert not audit.passed
    assert replace(audit, findings=FOUND[:1]).passed
    assert not replace(audit, findings=FOUND[:2]).passed  # what is not known is no pass
    assert not replace(audit, findings=()).passed


def test_a_finding_is_found_by_its_name(audit):
    assert audit["odd"] is FOUND[1]
    with pytest.raises(UnknownNameError, match="no finding is called 'sean'; did you mean 'seen'"):
        audit["sean"]


def test_a_newer_format_is_refused(audit, folder):
    audit.write(folder)
    value = folder.read_json("findings.json")
    folder.write_json("findings.json", value | {"format": 2})
    with pytest.raises(RunFolderError, match="has format 2, written by a newer wellposed"):
        Audit.read(folder)


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "one"},
        {"subject": 3},
        {"seed": "x"},
        {"findings": [3]},
        {"findings": ["x"]},
        {"findings": {"check": "x"}},
        {"findings": [{"check": "x"}]},
        {"findings": [{"check": "x", "verdict": "pass", "statement": "s", "figures": [4]}]},
    ],
    ids=range(8),
)
@pytest.mark.wrong_types
def test_damage_is_said(audit, folder, damage):
    audit.write(folder)
    value = folder.read_json("findings.json")
    folder.write_json("findings.json", value | damage)
    with pytest.raises(RunFolderError, match=r"damaged.*audit again"):
        Audit.read(folder)


def test_what_is_not_there_is_said(audit, folder):
    with pytest.raises(RunFolderError, match=r"findings.json: it does not exist"):
        Audit.read(folder)
    audit.write(folder)
    (folder.path / "audit" / "seen-0-000.png").unlink()
    with pytest.raises(RunFolderError, match=r"damaged: 'audit/seen-0-000.png'"):
        Audit.read(folder)
    folder.write("findings.json", json.dumps([]))
    with pytest.raises(RunFolderError, match="damaged"):
        Audit.read(folder)
