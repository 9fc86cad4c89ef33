import numpy as np
import pytest
import torch

from wellposed.errors import DataError, NotFiniteError, RunFolderError
from wellposed.problem import top_k_error
from wellposed.recipe import Recipe, build, restore, subject_of_run
from wellposed.runs import RunFolder, provenance
from wellposed.train import fit, save_checkpoint

RECIPE = """
data = {name = "digits", test = 0.2}
model = "lenet"
optimizer = {name = "sgd", lr = 0.1, momentum = 0.9, nesterov = true}
regularizer = [{name = "l2", strength = 1e-3}]
train = {epochs = 1, threads = 1, batch_size = 100}
seed = 3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = Recipe.parse(RECIPE, "r.toml")
    path = tmp_path_factory.mktemp("audited") / "run"
    folder = RunFolder.create(
        path, kind="run", recipe=recipe.to_toml(), provenance=provenance({"recipe": 3})
    )
    made = build(recipe)
    fit(made.problem, made.optimizer, made.plan, folder=folder)
    return folder


def test_the_subject_is_the_network_the_run_was_judged_on(run):
    subject = subject_of_run(run)
    outputs, targets = subject.outputs("test")
    recorded = run.read_json("results.json")["splits"]["test"]
    assert len(targets) == recorded["n"]
    assert float(top_k_error(outputs, targets).mean()) == pytest.approx(recorded["error"])
    assert float(subject.losses(outputs, targets).mean()) == pytest.approx(recorded["loss"])
    assert subject.input_range == (0.0, 1.0)


def test_it_knows_how_it_was_trained(run):
    subject = subject_of_run(run)
    assert (subject.descent.name, subject.descent.lr) == ("sgd", 0.1)
    assert (subject.descent.momentum, subject.descent.nesterov) == (0.9, True)
    assert subject.descent.batch_size == 100
    assert subject.regularizer is not None
    assert subject.log[-1]["step"] > 0
    assert subject.clock


def test_the_step_size_is_the_recipe_s_whatever_a_schedule_begins_with(tmp_path):
    recipe = Recipe.parse(RECIPE + '[[schedule]]\nname = "triangle"\n', "r.toml")
    folder = RunFolder.create(tmp_path / "a", kind="run", recipe=recipe.to_toml(), provenance={})
    assert subject_of_run(folder).descent.lr == 0.1


def test_the_initial_weights_are_drawn_again(run):
    subject = subject_of_run(run)
    fresh = build(Recipe.parse(RECIPE, "r.toml")).problem.model.state_dict()
    assert all(torch.equal(subject.initial[name], value) for name, value in fresh.items())
    again = subject.rebuild().state_dict()
    assert all(torch.equal(again[name], value) for name, value in fresh.items())


def test_other_data_take_the_place_of_the_test_part(run, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 1, 8, 8)), y=np.arange(30) % 10)
    subject = subject_of_run(run, data=str(tmp_path / "a.npz"))
    assert len(subject.parts["test"]) == 30
    assert len(subject.parts["train"]) > 1000
    assert "judged on" in subject.data_name


def test_the_second_run_is_a_run_or_a_file(run, tmp_path):
    state = restore(run).model.state_dict()
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    for other in (run.path, tmp_path / "w.pt"):
        found = subject_of_run(run, other=other).other
        assert all(torch.equal(found[name], value) for name, value in state.items())
    torch.save({"features.0.weight": torch.ones(2)}, tmp_path / "v.pt")
    with pytest.raises(DataError, match=r"v.pt does not fit LeNet: it lacks"):
        subject_of_run(run, other=tmp_path / "v.pt")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is missing"):
        subject_of_run(tmp_path / "none")


def test_a_run_that_failed_is_examined_at_its_newest_checkpoint(run, tmp_path):
    recipe = Recipe.parse(RECIPE.replace("lr = 0.1", "lr = 1e6"), "r.toml")
    folder = RunFolder.create(tmp_path / "a", kind="run", recipe=recipe.to_toml(), provenance={})
    made = build(recipe)
    with pytest.raises(NotFiniteError):
        fit(made.problem, made.optimizer, made.plan, folder=folder)
    subject = subject_of_run(folder)
    assert "at its initial weights" in subject.name
    assert "the loss became" in subject.failure
    assert all(torch.equal(subject.initial[n], v) for n, v in subject.model.state_dict().items())

    weights = {name: value + 1 for name, value in subject.initial.items()}
    save_checkpoint(folder.checkpoints, 7, model=weights)
    subject = subject_of_run(folder)
    assert subject.name.endswith("at step 7 of a training that is failed")
    assert all(torch.equal(weights[n], v) for n, v in subject.model.state_dict().items())


def test_a_race_is_refused(tmp_path):
    folder = RunFolder.create(tmp_path / "a", kind="race", recipe="", provenance={})
    with pytest.raises(RunFolderError, match="is a race of several runs; name one of them"):
        subject_of_run(folder)
