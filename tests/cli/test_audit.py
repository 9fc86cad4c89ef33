import json
import shutil

import pytest

from wellposed.runs import Audit, RunFolder

CODE = """
import torch
def net(shape, classes):
    print("a factory that talks")
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, classes))
def leaves():
    raise SystemExit(3)
class Impatient(torch.nn.Linear):
    def forward(self, inputs):
        if self.training:
            raise KeyboardInterrupt
        return super().forward(inputs)
def impatient():
    return torch.nn.Sequential(torch.nn.Flatten(), Impatient(64, 10))
"""


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "mine")


@pytest.fixture
def module(tmp_path):
    (tmp_path / "audited_module.py").write_text(CODE)
    return "audited_module:net"


def test_a_run_keeps_its_findings(cli, run):
    found = cli("audit", run, "--only", "gap", "--only", "weights")
    assert found.code == 0, found.err
    audit = Audit.read(RunFolder.open(run))
    assert {f.check for f in audit} == {"gap", "weights"}
    assert audit.complete
    assert "2 checks:" in found.out
    assert (run / "audit.html").is_file()


def test_machines_get_a_record_per_finding(cli, run):
    records = cli("audit", run, "--only", "weights", "--json").records
    assert [r["event"] for r in records] == ["plan", "finding", "audit"]
    assert records[1]["verdict"] == "pass"
    assert records[0]["budget"] == "standard"


def test_machines_get_nothing_that_a_model_prints(cli, module):
    found = cli("audit", module, "--data", "digits", "--only", "weights", "--json")
    assert [r["event"] for r in found.records] == ["plan", "finding", "audit"]
    assert "a factory that talks" in found.err


def test_ctrl_c_keeps_findings_and_says_how_to_go_on(cli, module, tmp_path):
    impatient = module.replace(":net", ":impatient")
    command = ("audit", impatient, "--data", "digits", "--only", "weights", "--only", "modes")
    found = cli(*command)
    assert found.code == 130
    [folder] = (tmp_path / "audits").iterdir()
    assert f"the same command, with --out audits/{folder.name}" in found.err
    audit = Audit.read(RunFolder.open(folder))
    assert [f.check for f in audit] == ["weights"]
    assert not audit.complete


def test_the_plan_is_shown_and_nothing_is_done(cli, run):
    found = cli("audit", run, "--plan", "--budget", "quick")
    assert found.code == 0
    assert "gradient evaluations, about" in found.out
    assert not (run / "findings.json").exists()


def test_findings_of_other_checks_stay(cli, run):
    cli("audit", run, "--only", "gap")
    cli("audit", run, "--only", "weights")
    assert {f.check for f in Audit.read(RunFolder.open(run))} == {"gap", "weights"}
    found = cli("audit", run, "--only", "weights", "--seed", "1")
    assert "are of another seed; they are kept in findings-1.json" in " ".join(found.out.split())
    assert {f.check for f in Audit.read(RunFolder.open(run))} == {"weights"}
    aside = json.loads((run / "findings-1.json").read_text())
    assert {f["check"] for f in aside["findings"]} == {"gap", "weights"}


def test_an_interrupted_audit_goes_on(cli, run):
    cli("audit", run, "--only", "gap", "--only", "weights")
    value = json.loads((run / "findings.json").read_text())
    value["complete"] = False
    [gap] = [f for f in value["findings"] if f["check"] == "gap"]
    value["findings"] = [gap | {"statement": "Kept."}]
    (run / "findings.json").write_text(json.dumps(value))
    cli("audit", run, "--only", "gap", "--only", "weights")
    audit = Audit.read(RunFolder.open(run))
    assert audit["gap"].statement == "Kept."
    assert audit["weights"].verdict == "pass"
    cli("audit", run, "--only", "gap")  # that one was complete, so this one is fresh
    assert Audit.read(RunFolder.open(run))["gap"].statement != "Kept."


def test_a_foreign_module_gets_a_folder_of_its_own(cli, module, tmp_path):
    found = cli("audit", module, "--data", "digits", "--only", "weights", "--out", "found")
    assert found.code == 0, found.err
    folder = RunFolder.open(tmp_path / "found")
    assert folder.kind == "audit"
    assert folder.status == "done"
    assert Audit.read(folder).subject["name"] == module
    again = ("audit", module, "--data", "digits", "--split", "--only", "gap", "--out", "found")
    assert cli(*again).code == 0
    refused = cli("predict", "found", "x.png")
    assert refused.code == 2
    assert "holds the findings of an audit" in refused.err


def test_strict_wants_every_check_to_pass(cli, module):
    arguments = ("audit", module, "--data", "digits", "--only", "gap")  # no train part: unknown
    assert cli(*arguments).code == 0
    assert cli(*arguments, "--strict").code == 1


def test_bad_input_is_a_sentence(cli, run, module):
    cases = {
        ("audit", run, "--only", "gop"): "no check is called 'gop'; did you mean 'gap'?",
        ("audit", run, "--budget", "huge"): "no budget is called 'huge'",
        ("audit", run, "--weights", "w.pt"): "--weights says of a foreign model",
        ("audit", module): "needs data to be examined on",
        ("audit", module, "--data", "digits", "--weights", "w.pt"): "w.pt is not a file",
        ("audit", "nowhere"): "nowhere does not exist; give a run's folder, or a model as package",
        ("audit", module, "--data", "./none.csv"): "./none.csv does not exist; give a dataset's",
        ("audit", module, "--data", "digits", "--seed", "-1"): "should be greater than or",
        ("audit", module, "--data", "digits", "--seed", str(2**70)): "should be less than or",
        ("audit", module.replace(":net", ":leaves"), "--data", "digits"): "leaves failed",
        ("audit", module, "--data", "digits", "--out", run): "choose another folder for --out",
        ("audit", run, "--data", "nothing"): "nothing",
    }
    for arguments, sentence in cases.items():
        found = cli(*arguments)
        assert found.code == 2, arguments
        assert sentence in found.err
        assert len(found.err.strip().splitlines()) == 1
