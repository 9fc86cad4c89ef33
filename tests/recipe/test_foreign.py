import sys
import textwrap

import numpy as np
import pytest
import torch

from wellposed.errors import DataError, RecipeError, WellposedError
from wellposed.recipe import subject_of_module

CODE = """
import torch
from torch import nn

def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def asked(classes, shape, **rest):
    assert not rest
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], classes))

def number():
    return 3

def broken():
    raise RuntimeError("no such luck")

def narrow():
    return nn.Linear(5, 2)
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    name = f"foreign_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_factory_is_given_what_it_asks_for(module):
    for factory in ("plain", "asked"):
        subject = subject_of_module(f"{module}:{factory}", data="digits", split=True)
        assert subject.classes == tuple("0123456789")
        assert list(subject.parts) == ["train", "validation", "test"]
        assert subject.descent is None
        assert subject.name == f"{module}:{factory}"


def test_the_same_seed_makes_the_same_model_and_leaves_the_generator(module):
    state = torch.get_rng_state()
    a, b, c = (subject_of_module(f"{module}:plain", data="digits", seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a.model[1].weight, b.model[1].weight)
    assert not torch.equal(a.model[1].weight, c.model[1].weight)
    assert torch.equal(a.rebuild()[1].weight, a.model[1].weight)


def test_weights_come_from_files(module, tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    torch.save(net.state_dict(), tmp_path / "w.pt")
    torch.save({n: 2 * v for n, v in net.state_dict().items()}, tmp_path / "v.pt")
    subject = subject_of_module(
        f"{module}:plain",
        data="digits",
        weights=tmp_path / "w.pt",
        initial=tmp_path / "v.pt",
        other=tmp_path / "v.pt",
        lr=0.1,
    )
    assert torch.equal(subject.model[1].weight, net[1].weight)
    assert torch.equal(subject.initial["1.weight"], 2 * net[1].weight)
    assert torch.equal(subject.other["1.bias"], 2 * net[1].bias)
    assert subject.descent.lr == 0.1


def test_raw_inputs_are_not_standardized(module):
    raw = subject_of_module(f"{module}:plain", data="digits", raw=True).take("test")[0]
    assert raw.min() == 0
    assert raw.max() == 1
    standard = subject_of_module(f"{module}:plain", data="digits").take("test")[0]
    assert abs(float(standard.mean())) < 1e-5


def test_data_may_be_a_file(module, tmp_path):
    np.savez(
        tmp_path / "a.npz", x=np.random.default_rng(0).random((90, 1, 8, 8)), y=np.arange(90) % 10
    )
    subject = subject_of_module(f"{module}:plain", data=str(tmp_path / "a.npz"))
    assert sum(map(len, subject.parts.values())) == 90


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("number", "gives a int; a model is a torch.nn.Module"),
        ("broken", "failed, called with no arguments: no such luck"),
        ("narrow", r"cannot take the test inputs, shape \(2, 1, 8, 8\) and torch.float32"),
        ("missing", "cannot import"),
    ],
)
def test_what_is_no_model_is_a_sentence(module, factory, sentence):
    with pytest.raises(WellposedError, match=sentence) as caught:
        subject_of_module(f"{module}:{factory}", data="digits")
    assert "\n" not in str(caught.value)


def test_names_that_do_not_exist(module, tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        subject_of_module(f"{module}:plain", data="digits", weights=tmp_path / "no.pt")
    with pytest.raises(RecipeError, match="did you mean 'digits'"):
        subject_of_module(f"{module}:plain", data="digit")
    with pytest.raises(DataError, match=r"photos\.tar does not exist; give a dataset's name"):
        subject_of_module(f"{module}:plain", data="photos.tar")
    with pytest.raises(RecipeError, match="did you mean 'crossentropy'"):
        subject_of_module(f"{module}:plain", data="digits", loss="crossentopy")
