import json
import tempfile

import pytest

from wellposed.cli import _train
from wellposed.recipe import Recipe
from wellposed.runs import RunFolder, Status


def test_a_recipe_is_carried_out_in_a_folder_of_its_own(cli, tmp_path):
    found = cli("train", "recipe.toml", "--out", "run")
    assert found.code == 0
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status is Status.DONE
    lines = found.out.splitlines()
    assert lines[0] == "Run folder: run"
    assert lines[-1] == "Report: run/report.html"
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    error = folder.read_json("results.json")["splits"]["test"]["error"]
    assert any(f"{100 * error:.2f} %" in line and "test" in line for line in lines)
    assert "gradient evaluations in" in found.out
    assert "linear" in found.err.lower()  # progress goes to standard error


def test_without_out_a_folder_is_made_below_runs(cli, tmp_path):
    assert cli("train", "recipe.toml").code == 0
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-recipe")


def test_settings_and_seed_replace_values_and_are_kept(cli, tmp_path):
    settings = ["--set", "optimizer.lr=0.5", "--set", "loss=hinge", "--seed", "7"]
    assert cli("train", "recipe.toml", "--out", "run", *settings).code == 0
    kept = Recipe.parse(RunFolder.open(tmp_path / "run").recipe)
    assert (kept.seed, kept.loss.name, kept.optimizer.arguments) == (7, "hinge", {"lr": 0.5})


def test_machines_get_one_json_object_per_line(cli):
    records = cli("train", "recipe.toml", "--out", "run", "--json").records
    events = [record["event"] for record in records]
    assert (events[0], events[1], events[-1]) == ("folder", "begin", "done")
    assert {"train", "evaluation"} <= set(events)
    assert records[-1] == {
        "event": "done", "folder": "run", "report": "run/report.html", "missed_goals": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recipe.toml", "--set", "optimizer.lrr=1"], "optimizer.lrr=1: SGD has no argument 'lrr'"),
        (["recipe.toml", "--set", "optimzer.lr=1"], "no key 'optimzer' is known; did you mean"),
        (["recipe.toml", "--set", "optimizer.lr=-1"], "[optimizer]: Invalid learning rate: -1"),
        (["recipe.toml", "--set", "model=lenett"], "no model is called 'lenett'; did you mean"),
        (["recipe.toml", "--seed", "-1"], "--set seed=-1: seed is -1; it should be greater"),
        (["recipe.toml", "--data-dir", "nowhere"], "the data folder nowhere does not exist"),
        (["recipe.toml", "--out", "full"], "full is not empty, and a run needs a folder of its"),
    ],
)
def test_bad_input_is_one_sentence(cli, tmp_path, arguments, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    found = cli("train", *arguments)
    assert found.code == 2
    assert words in found.err
    assert found.err.count("\n") == 1
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("goal", ["test_error=0.0", "train_error=0.0"])
def test_a_missed_goal_is_exit_1(cli, goal):
    found = cli("train", "recipe.toml", "--out", "run", "--set", f"goal.{goal}")
    assert found.code == 1
    assert f"Goal missed: {goal.partition('=')[0]} is 0." in found.out
    again = cli("train", "recipe.toml", "--out", "met", "--set", "goal.test_error=1.0")
    assert again.code == 0


def test_a_race_takes_consecutive_seeds_and_ends_with_its_table(cli, tmp_path):
    found = cli("train", "race.toml", "--out", "race", "--seed", "5")
    assert found.code == 0
    folder = RunFolder.open(tmp_path / "race")
    assert folder.read_json("comparison.json")["seeds"] == [5, 6]
    assert "method" in found.out
    assert "optimizer memory" in found.out
    assert "Means over 2 seeds" in found.out
    assert found.out.splitlines()[-1] == "Report: race/report.html"


def test_a_race_s_goal_is_for_its_best_method(cli):
    assert cli("train", "race.toml", "--out", "a", "--set", "goal.test_error=0.9").code == 0
    found = cli("train", "race.toml", "--out", "b", "--set", "goal.test_error=0.0001")
    assert found.code == 1
    assert "Goal missed: the smallest mean test error is" in found.out


def test_a_race_for_machines(cli):
    records = cli("train", "race.toml", "--out", "race", "--json").records
    assert [r["event"] for r in records] == ["folder", *["run"] * 4, "comparison", "done"]
    assert {"method", "seed", "error", "cost"} <= records[1].keys()
    json.dumps(records[-2]["statement"])


def test_a_loss_that_leaves_the_reals_is_told_with_a_remedy(cli, tmp_path):
    found = cli("train", "recipe.toml", "--out", "run", "--set", "optimizer.lr=1e38")
    assert found.code == 2
    assert "the loss became" in found.err
    assert "try" in found.err
    assert "Traceback" not in found.err
    assert RunFolder.open(tmp_path / "run").status is Status.FAILED


def test_the_main_job_is_the_preset_main(cli, monkeypatch, tmp_path):
    small = ["--set", "train.epochs=1", "--set", "compare.seeds=[0]", "--set", "model=linear"]
    found = cli("train", "--out", "run", *small)
    assert found.code == 0
    assert found.out.startswith("No recipe given, so this is the preset `main`")
    assert "wellposed recipe main > mine.toml" in found.out
    comparison = RunFolder.open(tmp_path / "run").read_json("comparison.json")
    names = [method["name"] for method in comparison["methods"]]
    assert names == ["sgd", "sgd-ema", "adamw", "entropysgd"]
    assert _train.MAIN == "main"


@pytest.mark.parametrize("recipe", ["recipe.toml", "race.toml"])
def test_a_value_that_its_class_refuses_is_named_where_the_user_wrote_it(cli, tmp_path, recipe):
    found = cli("train", recipe, "--set", "train.epochs=-1", "--out", "made")
    assert found.code == 2
    assert found.err.startswith("wellposed: --set train.epochs=-1: [train]: epochs must be")
    assert not (tmp_path / "made").exists()  # so that the same --out can be given again


def test_a_race_is_refused_before_the_first_run_if_a_later_method_is_wrong(cli, tmp_path):
    text = (tmp_path / "race.toml").read_text().replace("lr = 0.01", "lr = -1")
    (tmp_path / "race.toml").write_text(text)
    found = cli("train", "race.toml", "--out", "made")
    assert found.code == 2
    assert found.err.startswith("wellposed: race.toml:11: ")
    assert "learning rate: -1" in found.err
    assert not (tmp_path / "made").exists()


def test_an_empty_name_is_no_recipe(cli, tmp_path):
    found = cli("train", "")
    assert found.code == 2
    assert "recipe" in found.err
    assert not (tmp_path / "runs").exists()


OWN = """
from torch import nn

class Broken(nn.Linear):
    def forward(self, x):
        raise KeyError("a slip")

def broken(classes):
    return Broken(64, classes)

def narrow(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(7, classes))
"""


@pytest.mark.parametrize(("name", "words"), [("broken", "'a slip'"), ("narrow", "mat1 and mat2")])
def test_a_fault_in_the_user_s_own_model_is_not_called_ours(
    cli, tmp_path, monkeypatch, name, words
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "faulty_models.py").write_text(OWN)
    found = cli("train", "recipe.toml", "--set", f"model=faulty_models:{name}")
    assert found.code == 2
    assert f"wellposed: faulty_models:{name}, which the recipe names" in found.err
    assert words in found.err
    assert "fault of wellposed" not in found.err


def test_sparse_gradients_are_not_offered(cli):
    assert "sparseadam" not in cli("list", "optimizers").out
    assert cli("train", "recipe.toml", "--set", "optimizer=sparseadam").code == 2
