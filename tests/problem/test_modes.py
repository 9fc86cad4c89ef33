import pytest
from torch import nn

from wellposed.problem import eval_mode


@pytest.fixture
def model():
    made = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))).train()
    made[1][1].eval()
    return made


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("raises", [False, True])
def test_each_module_gets_its_own_mode_back(model, raises):
    before = modes(model)
    assert len(set(before)) == 2

    def body():
        with eval_mode(model):
            assert not any(modes(model))
            model[0].train()
            if raises:
                raise ZeroDivisionError

    if raises:
        with pytest.raises(ZeroDivisionError):
            body()
    else:
        body()
    assert modes(model) == before


def test_nests(model):
    before = modes(model)
    with eval_mode(model):
        with eval_mode(model[1]):
            pass
        assert not any(modes(model))
    assert modes(model) == before
