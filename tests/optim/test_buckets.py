"""Which tensors may be worked on together, and by which kernels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from wellposed.optim._buckets import (
    ANCHOR,
    MEAN,
    OUTER_BUFFER,
    POINT,
    blend_,
    by_kind,
    complete,
    copy_,
    fusible,
    is_low,
    laid_out_as,
    make_bucket,
    same_layout,
)  # fmt: skip


def bucket_of(params, **slots):
    made = []
    for p in params:
        entry = {}
        complete(entry, p, mean=True, outer_momentum=False)
        made.append({**entry, **slots})
    return make_bucket(params, made, {})


@pytest.mark.parametrize(
    ("tensor", "fine"),
    [
        (torch.ones(3, 4), True),
        (torch.ones(3, 4).T, True),
        (torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last), True),
        (torch.ones(()), True),
        (torch.ones(3, 4)[:, ::2], False),
        (torch.ones(3, 1).expand(3, 4), False),
        (torch.ones(3, dtype=torch.complex64), False),
        (torch.ones(3, device="meta"), False),
    ],
    ids=["dense", "transposed", "channels last", "scalar", "slice", "expanded", "complex", "meta"],
)
def test_fused_kernels_get_dense_real_tensors_only(tensor, fine):  # fmt: skip
    assert fusible(tensor) is fine


def test_subclasses_of_tensors_are_not_fused():
    class Special(torch.Tensor):
        pass

    assert not fusible(torch.ones(3).as_subclass(Special))


def test_layouts_are_compared_but_for_dimensions_of_size_one():
    conv = torch.ones(4, 1, 5, 5)
    last = conv.to(memory_format=torch.channels_last)
    assert conv.stride() != last.stride()
    assert same_layout([conv.stride()], [last])
    wide = torch.ones(4, 3, 5, 5)
    assert not same_layout([wide.stride()], [wide.to(memory_format=torch.channels_last)])


def test_a_copy_is_laid_out_as_the_parameter():
    p = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)
    value = torch.randn(2, 3, 4, 4)
    copied = laid_out_as(value, p, torch.float64)
    assert copied.stride() == p.stride()
    assert torch.equal(copied, value.double())
    count = torch.tensor(3.0)
    assert torch.equal(laid_out_as(count, p, torch.float32), count)
    assert laid_out_as(count, p, torch.float32).data_ptr() != count.data_ptr()


def test_kinds_are_device_dtype_and_type():
    params = [torch.ones(1), torch.ones(1, dtype=torch.float64), torch.ones(2),
              nn.Parameter(torch.ones(1)), torch.ones(1, device="meta")]  # fmt: skip
    assert by_kind(params) == [[0, 2], [1], [3], [4]]
    assert by_kind([]) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slots_are_completed_not_replaced(dtype):
    p = nn.Parameter(torch.ones(3, dtype=dtype))
    low = is_low(p)
    slots = {}
    complete(slots, p, mean=False, outer_momentum=False)
    assert set(slots) == ({ANCHOR, MEAN, POINT} if low else {ANCHOR})
    kept = slots[ANCHOR]
    kept.add_(1)
    complete(slots, p, mean=True, outer_momentum=True)
    assert set(slots) == {ANCHOR, MEAN, OUTER_BUFFER} | ({POINT} if low else set())
    assert slots[ANCHOR] is kept
    assert torch.equal(slots[MEAN], torch.ones(3) if low else kept)
    assert not any(slots[name].requires_grad for name in slots)


@given(weight=st.one_of(st.just(0.0), st.floats(1e-9, 0.499), st.floats(0.501, 1.5)))
def test_blending_is_bitwise_torchs_interpolation(weight):
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(37, 3, generator=generator)
    end = torch.randn(37, 3, generator=generator)
    expected = p.lerp(end, weight)
    bucket = bucket_of([p])
    assert bucket.blend
    blend_(bucket, bucket.params, [end], weight)
    assert torch.equal(p, expected)


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40), st.floats(0, 1)
)
def test_blending_equal_points_moves_nothing(values, weight):
    p = torch.tensor(values)
    bucket = bucket_of([p])
    blend_(bucket, [p], [p.clone()], weight)
    assert p.tolist() == torch.tensor(values).tolist()


def test_slots_that_lie_otherwise_in_memory_switch_the_fused_kernels_off():
    p = nn.Parameter(torch.ones(2, 3, 4, 4))
    assert bucket_of([p]).plain
    other = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert not bucket_of([p], anchor=other).plain
    assert not bucket_of([p], mean=other).plain
    slots = {}
    complete(slots, p, mean=False, outer_momentum=False)
    assert not make_bucket([p], [slots], {p: {"momentum_buffer": other}}).plain


@pytest.mark.parametrize("plain", [True, False])
def test_a_copy_replaces_whatever_was_there(plain):
    bucket = bucket_of([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3, 1))])
    bucket.plain = plain
    targets = [torch.full((2,), torch.nan), torch.full((3, 1), torch.inf)]
    with torch.no_grad():
        copy_(bucket, targets, bucket.params)
    assert all(torch.equal(t, p) for t, p in zip(targets, bucket.params, strict=True))
