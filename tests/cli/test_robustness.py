import json
import shutil

import pytest

from wellposed.runs import Audit, RunFolder

CODE = """
import torch
def net(shape, classes):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, classes))
"""
FEW = ("--examples", "20", "--budget", "fast", "--eps", "0.02", "--eps", "0.01")


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "mine")


@pytest.fixture
def module(tmp_path):
    (tmp_path / "robust_module.py").write_text(CODE)
    return "robust_module:net"


def test_a_run_gets_a_bracket_beside_its_findings(cli, run):
    cli("audit", run, "--only", "weights")
    found = cli("robustness", run, *FEW)
    assert found.code == 0, found.err
    assert "On these 20 examples and every perturbation with |d|_inf <= 0.01" in found.out
    assert "|d|_inf <= 0.02" in found.out
    value = json.loads((run / "robustness" / "bracket.json").read_text())
    assert [at["eps"] for at in value["radii"]] == [0.01, 0.02]
    assert (run / "robustness" / "counterexamples.safetensors").is_file()
    assert {f.check for f in Audit.read(RunFolder.open(run))} == {"weights", "robustness"}
    assert (run / "audit.html").is_file()


def test_a_foreign_module_gets_a_folder_of_its_own(cli, module, tmp_path):
    found = cli("robustness", module, "--data", "digits", *FEW, "--out", "found", "--json")
    assert found.code == 0, found.err
    assert [r["event"] for r in found.records] == ["plan", "finding", "bracket"]
    assert found.records[-1]["n"] == 20
    folder = RunFolder.open(tmp_path / "found")
    assert folder.kind == "audit"
    assert folder.has("robustness/statement.txt")


def test_the_matrix_of_who_breaks_whom_stands_beside_the_rest(cli, run, finished, tmp_path):
    cli("audit", run, "--only", "noise", "--budget", "quick")
    again = shutil.copytree(finished, tmp_path / "again")
    found = cli("robustness", run, *FEW, "--transfer", again)
    assert found.code == 0, found.err
    audit = Audit.read(RunFolder.open(run))
    assert {f.check for f in audit} == {"noise", "robustness", "transfer"}
    assert " ".join(audit["transfer"].statement.split()) in " ".join(found.out.split())
    (own, same), _ = audit["transfer"].evidence["breaks"]
    assert own == same > 0  # the other run is this one
    assert audit["transfer"].evidence["eps"] == 0.02
    page = (run / "audit.html").read_text()
    assert "Who breaks whom" in page
    assert "Bracket over radius" in page


def test_another_run_is_one_of_the_same_data(cli, run, tmp_path):
    spirals = (tmp_path / "recipe.toml").read_text().replace('"digits"', '"spirals"')
    (tmp_path / "spirals.toml").write_text(spirals)
    assert cli("train", "spirals.toml", "--out", "spirals").code == 0
    found = cli("robustness", run, *FEW, "--transfer", "spirals")
    assert found.code == 2
    assert "give networks of the same data" in " ".join(found.err.split())
    assert not (run / "robustness").exists()
    missing = cli("robustness", run, *FEW, "--transfer", "nowhere")
    assert missing.code == 2
    assert "nowhere" in missing.err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--norm", "l3"), "no norm is called 'l3'"),
        (("--budget", "deep"), "no budget is called 'deep'"),
        (("--method", "crwn"), "no method is called 'crwn'"),
        (("--eps", "-1"), "positive and finite"),
        (("--eps", "0.1", "--eps", "inf", "--eps", "0"), "finite, got 0.0, inf"),
    ],
)
def test_bad_input_is_a_sentence(cli, run, changed, said):
    found = cli("robustness", run, *changed)
    assert found.code == 2
    assert said in found.err
    assert not (run / "robustness").exists()


def test_a_module_needs_data_and_a_run_has_to_exist(cli, module):
    assert "needs data" in cli("robustness", module, *FEW).err
    missing = cli("robustness", "nowhere", *FEW)
    assert missing.code == 2
    assert "does not exist" in missing.err


def test_attacks_go_on_from_a_file_that_is_theirs(cli, run, tmp_path):
    kept = ("--checkpoint", tmp_path / "attacks.safetensors")
    found = []
    for _ in range(2):
        done = cli("robustness", run, *FEW, *kept)
        assert done.code == 0, done.err
        found.append(json.loads((run / "robustness" / "bracket.json").read_text()))
    assert found[0]["radii"] == found[1]["radii"]
    other = cli("robustness", run, *FEW, "--eps", "0.03", *kept)
    assert other.code == 2
    assert "was saved by another attack" in other.err


def test_a_checkpoint_that_does_not_fit_costs_no_finding(cli, run, tmp_path):
    assert cli("robustness", run, *FEW).code == 0
    before = (run / "findings.json").read_text()
    (tmp_path / "damaged").write_text("no checkpoint")
    found = cli("robustness", run, *FEW, "--checkpoint", tmp_path / "damaged")
    assert found.code == 2
    assert "is no checkpoint of an attack" in " ".join(found.err.split())
    assert (run / "findings.json").read_text() == before
