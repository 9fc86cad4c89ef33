import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from wellposed.data import Batches, Cutout, Elastic, Examples, Flip, Rotation, Shift, Store
from wellposed.errors import ArgumentError, DataError

AUGMENT = (Shift(2), Flip(), Rotation(20), Elastic(1.0, 2.0), Cutout(3))


class Rows(Store):
    """The same rows, but read when asked for, and sometimes in vain."""

    def __init__(self, tensor, bad=None):
        self._tensor = tensor
        self._bad = bad

    @property
    def shape(self):
        return tuple(self._tensor.shape[1:])

    def __len__(self):
        return len(self._tensor)

    def read(self, rows):
        if self._bad is not None and self._bad in rows.tolist():
            raise DataError(f"row {self._bad} is damaged")
        return self._tensor[rows]


def tensors(n=50, shape=(3, 8, 8)):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, *shape, generator=generator), torch.arange(n) % 7


def examples(streamed=False, **settings):  # noqa: FBT002
    inputs, targets = tensors(**settings)
    return Examples(Rows(inputs) if streamed else inputs, targets)


def numbered(n=50):
    return Examples(torch.arange(float(n)).view(n, 1), torch.arange(n))


def equal(found, expected):
    found, expected = list(found), list(expected)
    return len(found) == len(expected) and all(
        torch.equal(a, c) and torch.equal(b, d) and a.stride() == c.stride()
        for (a, b), (c, d) in zip(found, expected, strict=True)
    )


@given(st.integers(1, 60), st.integers(1, 70), st.booleans(), st.integers(0, 5))
def test_an_epoch_shows_every_example_once(n, size, drop_last, index):
    if drop_last and size > n:
        return
    batches = Batches(numbered(n), size, drop_last=drop_last)
    found = list(batches.epoch(index))
    assert len(found) == len(batches) == batches.steps_per_epoch
    assert all(len(y) == size for _, y in found[:-1])
    seen = torch.cat([y for _, y in found])
    assert len(set(seen.tolist())) == len(seen) == (n // size * size if drop_last else n)
    assert torch.equal(torch.cat([x for x, _ in found]).flatten(), seen.float())


def test_the_order_depends_on_seed_and_epoch_only():
    def order(seed, index):
        return torch.cat([y for _, y in Batches(numbered(), 8, seed=seed).epoch(index)])

    assert torch.equal(order(0, 3), order(0, 3))
    assert not torch.equal(order(0, 3), order(0, 4))
    assert not torch.equal(order(0, 3), order(1, 3))
    torch.manual_seed(1)
    torch.rand(5)
    state = torch.get_rng_state()
    assert torch.equal(order(0, 3), order(0, 3))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_shuffling_the_order_is_that_of_the_examples():
    found = torch.cat([y for _, y in Batches(numbered(), 8, shuffle=False).epoch(2)])
    assert torch.equal(found, torch.arange(50))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("augment", [(), AUGMENT], ids=["plain", "augmented"])
def test_an_epoch_can_be_entered_anywhere(streamed, augment):
    batches = Batches(examples(streamed), 8, seed=5, augment=augment)
    whole = list(batches.epoch(3))
    for start in range(batches.steps_per_epoch + 1):
        again = Batches(examples(streamed), 8, seed=5, augment=augment)
        assert equal(again.epoch(3, start), whole[start:])


@pytest.mark.parametrize("augment", [(), AUGMENT], ids=["plain", "augmented"])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("layout", [None, torch.channels_last])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float64])
def test_streamed_equals_in_memory(augment, drop_last, layout, dtype):
    settings = {
        "size": 8, "seed": 1, "augment": augment, "drop_last": drop_last, "dtype": dtype,
        "memory_format": layout,
    }  # fmt: skip
    loaded = Batches(examples(), **settings)
    for workers in (None, 1, 3):
        streamed = Batches(examples(streamed=True), **settings, workers=workers)
        assert equal(streamed.epoch(2), loaded.epoch(2))


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_come_in_the_type_and_layout_asked_for(streamed):
    batches = Batches(
        examples(streamed), 8, dtype=torch.bfloat16, memory_format=torch.channels_last
    )
    inputs, targets = next(batches.epoch(0))
    assert inputs.dtype == torch.bfloat16
    assert inputs.shape == (8, 3, 8, 8)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert targets.dtype == torch.int64


@pytest.mark.parametrize("streamed", [False, True])
def test_feature_vectors_have_no_layout(streamed):
    data = examples(streamed, shape=(6,))
    inputs, _ = next(Batches(data, 8, memory_format=torch.channels_last).epoch(0))
    assert inputs.shape == (8, 6)
    assert inputs.is_contiguous()


def test_a_batch_is_a_copy():
    data = numbered()
    for inputs, _ in Batches(data, 8).epoch(0):
        inputs.fill_(-1)
    assert torch.equal(data.inputs, numbered().inputs)


def test_nothing_is_converted_where_nothing_changes():
    data = examples()
    rows = Batches(data, 8)._resident[0]
    assert rows.data_ptr() == data.inputs.data_ptr()


@pytest.mark.parametrize("index", [0, 1])
def test_augmentation_differs_between_epochs_and_positions(index):
    same = Examples(torch.rand(1, 1, 8, 8).expand(32, 1, 8, 8), torch.zeros(32).long())
    batches = Batches(same, 16, augment=(Elastic(),))
    a, b = (x for x, _ in batches.epoch(index))
    assert not torch.equal(a, b)
    assert not torch.equal(a, next(batches.epoch(index + 1))[0])


class Calls(TorchDispatchMode):
    """Counts the tensor operations dispatched while it is active."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_a_batch_costs_one_gather_and_no_other_kernel():
    batches = Batches(examples(n=512), 8, memory_format=torch.channels_last, dtype=torch.bfloat16)
    next(batches.epoch(0))
    with Calls() as calls:
        seen = sum(1 for _ in batches.epoch(1))
    views = {"view.default", "permute.default", "split.Tensor", "slice.Tensor", "detach.default"}
    kernels = [name for name in calls.names if name not in views]
    assert seen == 64
    assert kernels.count("index_select.default") == 64 + 1  # one for all targets
    assert len(kernels) <= 64 + 4
    assert len(calls.names) <= 3 * 64 + 10


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("wellposed-data")]


def test_leaving_an_epoch_early_leaves_no_thread():
    epoch = Batches(examples(streamed=True), 4, workers=3).epoch(0)
    next(epoch)
    assert ours()
    epoch.close()
    assert not ours()


def test_damage_found_while_streaming_is_reported():
    inputs, targets = tensors()
    data = Examples(Rows(inputs, bad=17), targets)
    with pytest.raises(DataError, match="row 17 is damaged"):
        list(Batches(data, 4, workers=2).epoch(0))
    assert not ours()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 0}, "size of at least 1"),
        ({"size": 51, "drop_last": True}, "no batch of 51 can be filled from 50"),
        ({"size": 4, "dtype": torch.int64}, "floating dtype"),
        ({"size": 4, "workers": 0}, "workers >= 1"),
    ],
)
def test_refuses_settings_out_of_range(settings, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Batches(examples(), **settings)


@pytest.mark.parametrize(("index", "start"), [(-1, 0), (0, -1), (0, 14)])
def test_refuses_positions_out_of_range_at_once(index, start):
    with pytest.raises(ArgumentError, match=r"epochs are counted|an epoch has 13 batches"):
        Batches(examples(), 4).epoch(index, start)


@pytest.mark.gpu
def test_batches_on_a_gpu_equal_those_on_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for streamed in (False, True):
        settings = {"size": 8, "memory_format": torch.channels_last}
        here = Batches(examples(streamed), **settings).epoch(1)
        there = Batches(examples(streamed), device="cuda", **settings).epoch(1)
        assert equal(((x.cpu(), y.cpu()) for x, y in there), here)
        augmented = Batches(examples(streamed), augment=AUGMENT, device="cuda", **settings)
        assert equal(augmented.epoch(1, 2), list(augmented.epoch(1))[2:])
