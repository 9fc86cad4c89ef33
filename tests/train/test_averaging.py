import torch
from torch import nn

from wellposed.optim import SGD, EntropySGD
from wellposed.train._averaging import evaluated, kind_of, moving_average


def test_the_average_equals_its_closed_form():
    # Weights 1, 2, 3, ... with decay d: m_1 = w_1, m_k = d m_{k-1} + (1 - d) w_k.
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = moving_average(model, 0.75)
    expected = None
    for value in range(1, 6):
        nn.init.constant_(model[0].weight, value)
        model[1].running_mean.fill_(10 * value)
        average.update_parameters(model)
        expected = value if expected is None else 0.75 * expected + 0.25 * value
    assert average.module[0].weight.item() == expected
    assert average.module[1].running_mean.item() == 10 * expected


def test_says_which_weights_are_judged():
    model = nn.Linear(2, 2)
    sgd, entropy = SGD(model.parameters()), EntropySGD(model.parameters())
    assert kind_of(sgd, None) == "last"
    assert kind_of(entropy, None) == "anchor"
    assert kind_of(entropy, moving_average(model, 0.9)) == "ema"


def test_last_weights_are_judged_as_they_are():
    model = nn.Linear(2, 2)
    with evaluated(model, SGD(model.parameters()), None, []) as judged:
        assert judged is model
    average = moving_average(model, 0.9)
    with evaluated(model, SGD(model.parameters()), average, []) as judged:
        assert judged is average.module


def test_an_anchor_is_judged_with_its_own_statistics_and_nothing_is_left_of_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = EntropySGD(model.parameters(), lr=0.1, inner_steps=10)
    batches = [(torch.randn(16, 3), torch.zeros(16)) for _ in range(3)]
    anchor = model[0].weight.detach().clone()
    for inputs, _ in batches:
        model(inputs).square().sum().backward()
        optimizer.step()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    with evaluated(model, optimizer, None, batches) as judged:
        assert torch.equal(judged[0].weight, anchor)
        means = torch.stack([model[0](inputs).mean(0) for inputs, _ in batches]).mean(0)
        torch.testing.assert_close(judged[1].running_mean, means)

    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
