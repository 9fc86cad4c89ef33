"""The list arithmetic of probes, against the formula on single tensors."""

from math import inf, nan

import pytest
import torch
from torch import nn

from wellposed.optim import _probe
from wellposed.optim._buckets import complete, make_bucket


def bucket_of(values, dtype=torch.float32, *, mean=True):
    params = [nn.Parameter(torch.tensor(v, dtype=dtype)) for v in values]
    slots = [{} for _ in params]
    for p, s in zip(params, slots, strict=True):
        complete(s, p, mean=mean, outer_momentum=False)
    return make_bucket(params, slots, {})


X = ([1.0, -2.0], [0.5])
P = [torch.tensor([3.0, 4.0]), torch.tensor([-12.0])]


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("junk", [7.0, inf, nan])
def test_restoring_is_exact_whatever_the_weights_hold(junk):
    bucket = bucket_of(X)
    for p in bucket.params:
        p.fill_(junk)
    _probe.restore(bucket)
    assert [p.tolist() for p in bucket.params] == list(map(list, X))


def test_anchoring_follows_the_weights():
    bucket = bucket_of(X)
    bucket.params[0].add_(1)
    _probe.anchor(bucket)
    assert bucket.anchors[0].tolist() == [2.0, -1.0]


@pytest.mark.parametrize(
    ("mean", "expected"), [("uniform", 2.0), (0.5, 1.75), (1.0, 3.0), (None, 3.0)]
)
def test_the_mean_of_three_gradients(mean, expected):
    bucket = bucket_of(X)
    group = {"mean": mean, "inner_index": 0}
    for value in (1.0, 2.0, 3.0):
        grads = [torch.full_like(p, value) for p in bucket.params]
        found = _probe.accumulate(bucket, grads, group)
        assert grads[0][0].item() == value
        group["inner_index"] += 1
    # 0.5: (((0 + 1) / 2 + 2) / 2 + 3) / 2 = 2.125 with p_0 = 0
    expected = 2.125 if mean == 0.5 else expected
    assert found[0].tolist() == pytest.approx([expected] * 2)
    group["inner_index"] = 0
    found = _probe.accumulate(bucket, [torch.ones_like(p) for p in bucket.params], group)
    assert found[0].tolist() == pytest.approx([0.5 if mean == 0.5 else 1.0] * 2)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_displacement_starts_from_the_anchor(moved, dtype):
    bucket = bucket_of(X, dtype)
    slopes = [p.to(dtype) for p in P]
    if moved:
        for p in bucket.params:
            p.fill_(99)
    _probe.displace(bucket, slopes, 0.25, adaptive=False, moved=moved)
    assert [p.tolist() for p in bucket.params] == [[0.25, -3.0], [3.5]]


def test_no_displacement_is_the_anchor_itself():
    bucket = bucket_of(X)
    bucket.params[0].fill_(nan)
    _probe.displace(bucket, P, 0.0, adaptive=False, moved=True)
    assert bucket.params[0].tolist() == [1.0, -2.0]


def test_the_norm_is_over_all_lists():
    first, second = bucket_of(X[:1]), bucket_of(X[1:])
    assert _probe.norm([(first, P[:1]), (second, P[1:])], adaptive=False) == pytest.approx(13.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_adaptive_norm_and_displacement(dtype):
    bucket = bucket_of(X, dtype)
    slopes = [p.to(dtype) for p in P]
    total = _probe.norm([(bucket, slopes)], adaptive=True)
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-6
    assert total == pytest.approx((3**2 + 8**2 + 6**2) ** 0.5, rel=tolerance)
    _probe.displace(bucket, slopes, 0.25, adaptive=True, moved=False)
    found = [v for p in bucket.params for v in p.tolist()]
    wanted = [1 - 0.25 * 3, -2 - 0.25 * 4 * 4, 0.5 + 0.25 * 0.25 * 12]
    assert found == pytest.approx(wanted, rel=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_noise_and_its_mirror_image(dtype):
    bucket = bucket_of(X, dtype)
    noise = [torch.tensor([0.5, 0.25]), torch.tensor([-1.0])]
    _probe.spread(bucket, noise)
    assert [p.tolist() for p in bucket.params] == [[1.5, -1.75], [-0.5]]
    _probe.reflect(bucket)
    assert [p.tolist() for p in bucket.params] == [[0.5, -2.25], [1.5]]


@pytest.mark.parametrize(("total", "scale"), [(4.0, 0.25), (0.0, 0.0), (inf, 0.0), (nan, 0.0)])
def test_a_norm_that_means_nothing_displaces_nothing(total, scale):
    assert _probe.scale_of(total) == scale
