import pytest
import torch

from wellposed.data import Examples
from wellposed.data._little_data import few, mislabeled
from wellposed.errors import ArgumentError


def part(n=600, classes=3):
    return Examples(torch.arange(n, dtype=torch.float32).view(n, 1), torch.arange(n) % classes)


@pytest.mark.parametrize("n", [3, 4, 100, 301, 599])
def test_as_many_as_asked_for_are_kept_in_the_classes_shares(n):
    kept = few(part(), n, seed=1)
    assert len(kept) == n
    counts = torch.bincount(kept.targets, minlength=3)
    assert int(counts.max() - counts.min()) <= 1
    assert torch.equal(kept.inputs[:, 0].long() % 3, kept.targets)


def test_the_order_stays_and_nothing_is_doubled():
    rows = few(part(), 50, seed=1).inputs[:, 0]
    assert bool((rows.diff() > 0).all())


def test_the_seed_decides_which_are_kept():
    rows = [few(part(), 50, seed=seed).sha256 for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_all_of_them_is_the_part_itself():
    whole = part()
    assert few(whole, 600, seed=1) is whole


def test_uneven_classes_keep_their_shares():
    targets = torch.cat([torch.zeros(500), torch.ones(100)]).long()
    kept = few(Examples(torch.zeros(600, 1), targets), 60, seed=1)
    assert torch.bincount(kept.targets).tolist() == [50, 10]


@pytest.mark.parametrize("n", [-1, 2, 601])
def test_more_than_there_are_or_fewer_than_classes_is_refused(n):
    with pytest.raises(ArgumentError, match=f"examples={n} was asked for.*from 3 to 600"):
        few(part(), n, seed=1)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.999])
def test_exactly_the_share_has_the_label_of_another_class(share):
    right = part()
    wrong = mislabeled(right, share, 3, seed=1)
    assert int(right.targets.ne(wrong.targets).sum()) == round(600 * share)
    assert int(wrong.targets.min()) >= 0
    assert int(wrong.targets.max()) <= 2
    assert torch.equal(wrong.inputs, right.inputs)


def test_every_other_class_is_as_likely():
    right = part(n=30_000, classes=10)
    wrong = mislabeled(right, 0.9, 10, seed=1)
    moved = (wrong.targets - right.targets) % 10
    counts = torch.bincount(moved, minlength=10)
    assert int(counts[0]) == 3000
    # 27,000 draws over 9 classes: mean 3000, deviation 51.6; five of them are allowed
    assert bool(((counts[1:] - 3000).abs() < 260).all())


def test_the_examples_given_keep_their_labels():
    right = part()
    mislabeled(right, 0.5, 3, seed=1)
    assert torch.equal(right.targets, torch.arange(600) % 3)


def test_the_seed_decides_which_labels_are_wrong():
    labels = [mislabeled(part(), 0.2, 3, seed=seed).targets for seed in (1, 1, 2)]
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(labels[0], labels[2])


def test_no_wrong_label_is_the_part_itself():
    right = part()
    assert mislabeled(right, 0.0, 3, seed=1) is right


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ArgumentError, match="wrong labels must lie in"):
        mislabeled(part(), share, 3, seed=1)


def test_wrong_labels_need_a_second_class():
    with pytest.raises(ArgumentError, match="needs a second class"):
        mislabeled(part(classes=1), 0.2, 1, seed=1)
