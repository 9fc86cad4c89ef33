import pytest
import torch
from torch import nn

from wellposed.errors import RunFolderError
from wellposed.runs import Status
from wellposed.train import Plan, fit, load_weights
from wellposed.train._weights import write_weights


def finished(folder, model):
    folder.write_json("results.json", {"weights_file": write_weights(folder, model)})


def net(width=3):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width))


def test_weights_and_buffers_come_back_in_any_layout(make_folder):
    folder, model = make_folder(), net().to(memory_format=torch.channels_last)
    model(torch.randn(4, 1, 8, 8))
    finished(folder, model)
    again = net()
    load_weights(folder, again)
    expected, found = model.state_dict(), again.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_tied_weights_are_written(make_folder):
    folder = make_folder()
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    finished(folder, model)
    load_weights(folder, model)


def test_a_run_that_is_not_done_has_none(make_folder):
    folder = make_folder()
    folder.set_status(Status.INTERRUPTED)
    with pytest.raises(RunFolderError, match=r"status interrupted.*wellposed resume"):
        load_weights(folder, net())


def test_a_changed_file_is_refused(make_folder):
    folder = make_folder()
    finished(folder, net())
    data = bytearray((folder.path / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    folder.write("weights.safetensors", bytes(data))
    with pytest.raises(RunFolderError, match=r"weights\.safetensors is not what the run wrote"):
        load_weights(folder, net())


@pytest.mark.parametrize("other", [net(4), nn.Sequential(nn.Conv2d(1, 3, 3)), nn.Linear(2, 2)])
def test_weights_of_another_model_are_refused(make_folder, other):
    folder = make_folder()
    finished(folder, net())
    with pytest.raises(RunFolderError, match=r"of shape.*but the model has.*recipe\.toml"):
        load_weights(folder, other)


def test_are_those_that_the_results_are_about(make_problem, make_folder):
    problem, folder = make_problem(), make_folder()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    result = fit(problem, optimizer, Plan(epochs=1, ema=0.5), folder=folder)
    again = make_problem().model
    load_weights(folder, again)
    assert torch.equal(again[0].weight, result.model[0].weight)
