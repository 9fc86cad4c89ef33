import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data import Standardization
from wellposed.data._standardization import Moments
from wellposed.errors import ArgumentError


def measured(x, cuts=1):
    moments = Moments()
    for part in x.tensor_split(cuts):
        if len(part):
            moments.add(part)
    return moments.standardization()


@pytest.mark.parametrize("cuts", [1, 2, 7, 50])
def test_images_get_zero_mean_and_unit_deviation_per_channel(cuts):
    x = torch.randn(50, 3, 4, 5) * torch.tensor([1.0, 10, 0.1]).view(3, 1, 1) + 7
    z = measured(x, cuts).apply(x).double()
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        z.std((0, 2, 3), correction=0), torch.ones(3).double(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("cuts", [1, 3, 40])
def test_equals_numpy_in_float64(cuts):
    x = torch.randn(40, 6) * 3 - 1
    found = measured(x, cuts)
    values = x.double().numpy()
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std(0), rtol=1e-12)


def test_is_accurate_where_the_mean_dwarfs_the_deviation():
    # E[x^2] - E[x]^2 would lose all digits here.
    x = (1e4 + torch.arange(1000) % 2).view(-1, 1)
    assert measured(x, 9).std[0] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0e5, 1e-20])
def test_a_constant_channel_becomes_zero_and_nothing_worse(value):
    x = torch.cat([torch.full((9, 1, 2, 2), value), torch.randn(9, 1, 2, 2)], 1)
    found = measured(x, 4)
    assert found.std[0] == 1.0
    z = found.apply(x)
    assert z.isfinite().all()
    assert z[:, 0].abs().max() <= 1e-6 * max(1, abs(value))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6)), min_size=1, max_size=5))
def test_survives_json_bit_by_bit(pairs):
    one = Standardization(*map(tuple, zip(*pairs, strict=True)))
    assert Standardization.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_undo_is_the_inverse_and_apply_in_place_the_same():
    one = Standardization((0.5, 0.25), (0.125, 2.0))
    x = torch.rand(6, 2, 3, 3)
    torch.testing.assert_close(one.undo(one.apply(x)), x, rtol=0, atol=1e-6)
    z = one.apply(x)
    assert torch.equal(one.apply_(x), z)


def test_identity_changes_nothing():
    x = torch.rand(6, 2)
    assert torch.equal(Standardization.identity(2).apply(x), x)


@pytest.mark.parametrize(
    ("mean", "std"), [((), ()), ((0.0,), (0.0,)), ((0.0,), (1.0, 1.0)), ((0.0,), (-1.0,))]
)
def test_refuses_what_cannot_be_divided_by(mean, std):
    with pytest.raises(ArgumentError, match="all of them above 0"):
        Standardization(mean, std)


def test_refuses_other_shapes_and_no_data():
    with pytest.raises(ArgumentError, match="2 channels"):
        Standardization.identity(2).apply(torch.zeros(4, 3))
    with pytest.raises(ArgumentError, match="nothing to standardize"):
        Moments().standardization()
