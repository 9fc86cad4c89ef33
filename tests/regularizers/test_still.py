import torch
from torch import nn

from wellposed.regularizers._still import (
    differentiable,
    differs_by_mode,
    evaluating,
    generator_of,
    still,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.InstanceNorm2d(3, track_running_stats=True),
        nn.BatchNorm2d(3, track_running_stats=False),
    )


def test_a_still_pass_gives_the_outputs_of_training_and_writes_no_buffer():
    model, inputs = network(), torch.rand(5, 1, 6, 6)
    before = {n: (b.clone(), b._version) for n, b in model.named_buffers()}
    with still(model):
        found = model(inputs)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name][0])
        assert buffer._version == before[name][1]
    assert torch.equal(found, model(inputs))
    assert model[1].num_batches_tracked == 1
    assert [m.track_running_stats for m in list(model)[1:]] == [True, True, False]


def test_still_blocks_nest_and_end_with_an_error():
    model = network()
    try:
        with still(model), still(model):
            raise KeyError
    except KeyError:
        pass
    assert model[1].track_running_stats
    assert not model[3].track_running_stats


def test_evaluating_puts_each_mode_back():
    model = network()
    model[1].eval()
    with evaluating(model):
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == [True, True, False, True, True]


def test_which_networks_differ_by_mode():
    assert differs_by_mode(network())
    assert not differs_by_mode(network().eval())
    assert not differs_by_mode(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    assert differs_by_mode(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.1)))


def test_draws_are_fixed_in_eval_mode_only():
    model = network()
    assert generator_of(model, torch.device("cpu")) is None
    drawn = [torch.rand(3, generator=generator_of(model.eval(), torch.device("cpu"))) for _ in "ab"]
    assert torch.equal(*drawn)


def test_inputs_that_somebody_differentiates_by_are_taken_as_they_are():
    x = torch.rand(3)
    assert differentiable(x).requires_grad
    assert not x.requires_grad
    x.requires_grad_()
    assert differentiable(x) is x
