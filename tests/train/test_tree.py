import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from wellposed.errors import ArgumentError, RunFolderError
from wellposed.train._tree import flatten, unflatten

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["$tensor", "$map"])
)
KEYS = st.text(max_size=4) | st.integers(0, 9) | st.tuples(st.integers(), st.text(max_size=2))
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal with nan = nan, and with the same types."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a.hex() == b.hex() or (math.isnan(a) and math.isnan(b))
    return a == b


@given(TREES)
def test_what_goes_in_comes_out(tree):
    plain, tensors = flatten(tree)
    assert not tensors
    assert same(unflatten(plain, tensors), tree)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "uint8", "bool"])
def test_tensors_keep_type_bits_and_layout(name):
    dtype = getattr(torch, name)
    tensor = torch.randn(2, 3, 4, 5).mul(9).to(dtype).contiguous(memory_format=torch.channels_last)
    plain, tensors = flatten({"a": [tensor, torch.tensor(3)], "b": tensor[:, ::2]}, "root")
    assert set(tensors) == {"root.a.0", "root.a.1", "root.b"}
    assert all(t.is_contiguous() for t in tensors.values())
    back = unflatten(plain, tensors)
    assert torch.equal(back["a"][0], tensor)
    assert back["a"][0].dtype is dtype
    assert back["a"][0].stride() == tensor.stride()
    assert back["a"][1].shape == ()
    assert torch.equal(back["b"], tensor[:, ::2])


def test_names_that_would_collide_are_kept_apart():
    plain, tensors = flatten({"a": {"b": torch.tensor(1)}, "a.b": torch.tensor(2)})
    assert len(tensors) == 2
    back = unflatten(plain, tensors)
    assert (back["a"]["b"].item(), back["a.b"].item()) == (1, 2)


def test_counters_stay_counters():
    plain, tensors = flatten({"milestones": Counter({30: 1}), "words": Counter("aab")})
    back = unflatten(plain, tensors)
    assert isinstance(back["milestones"], Counter)
    assert back == {"milestones": Counter({30: 1}), "words": Counter("aab")}


@pytest.mark.parametrize("name", ["SGD", "AdamW", "LBFGS", "RMSprop", "Adagrad"])
def test_optimizers_go_on_bit_by_bit(name):
    def make():
        torch.manual_seed(0)
        model = nn.Conv2d(2, 3, 3)
        if name != "LBFGS":  # torch's takes contiguous gradients only
            model.to(memory_format=torch.channels_last)
        more = {"momentum": 0.9} if name == "SGD" else {}
        return model, getattr(torch.optim, name)(model.parameters(), lr=0.1, **more)

    def go(model, optimizer, count, seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(count):
            x = torch.randn(2, 2, 6, 6, generator=generator)

            def closure(x=x):
                optimizer.zero_grad()
                loss = model(x).square().mean()
                loss.backward()
                return loss

            optimizer.step(closure)

    model, optimizer = make()
    go(model, optimizer, 3, 1)
    plain, tensors = flatten({"m": model.state_dict(), "o": optimizer.state_dict()})
    tensors = {k: v.clone() for k, v in tensors.items()}
    go(model, optimizer, 3, 2)
    other, again = make()
    tree = unflatten(plain, tensors)
    other.load_state_dict(tree["m"])
    again.load_state_dict(tree["o"])
    go(other, again, 3, 2)
    assert torch.equal(model.weight, other.weight)


def test_what_needs_pickle_is_refused_by_name():
    with pytest.raises(ArgumentError, match=r"optimizer\.f is a function"):
        flatten({"optimizer": {"f": lambda: 0}})


@pytest.mark.parametrize(
    "plain",
    [
        {"$tensor": "gone"},
        {"$tensor": "t", "stride": [1]},
        {"$tensor": "t", "stride": "x"},
        {"$float": "much"},
        {"$what": 1},
        {"$map": 3},
        {"$map": [[1]]},
        {"$map": [[{"$map": []}, 1]]},
    ],
)
def test_a_state_that_nobody_wrote_is_refused(plain):
    with pytest.raises(RunFolderError, match="does not fit"):
        unflatten([{"a": plain}], {"t": torch.ones(2, 2)})
