import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.audit._label_noise import _features
from wellposed.data import Digits, load
from wellposed.runs import Listing, Pictures, Verdict


def changed(y, share, seed, classes):
    """Labels of which a share is another class, and which ones."""
    generator = torch.Generator().manual_seed(seed)
    hit = torch.rand(len(y), generator=generator) < share
    step = torch.randint(1, classes, y.shape, generator=generator)
    return torch.where(hit, (y + step) % classes, y), hit


def clusters(n, seed, classes=5, noise=0.0):
    """Clouds of points around the corners of a simplex, some of them in each other's way."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    x = torch.randn(n, classes, generator=generator) + 4 * torch.eye(classes)[y]
    return x, *changed(y, noise, seed + 1, classes)


def blobs(seed, train=0.0, test=0.0, n=1500):
    """A subject whose network is the best linear classifier of the clouds."""
    x, y, _ = clusters(n, seed, noise=train)
    u, v, _ = clusters(n, seed + 500, noise=test)
    network = nn.Linear(5, 5)
    with torch.no_grad():
        network.weight.copy_(4 * torch.eye(5))
        network.bias.zero_()
    return Subject(network, {"train": (x, y), "test": (u, v)}, seed=seed)


def found(subject):
    return examine(subject, ["label-noise"])["label-noise"]


def test_healthy_labels_raise_no_alarm():
    assert all(found(blobs(seed)).verdict is Verdict.PASS for seed in range(20))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_tenth_of_wrong_labels_is_found_and_counted(part):
    for seed in range(5):
        finding = found(blobs(seed, **{part: 0.1}, n=3000))
        assert finding.verdict is Verdict.WARN
        assert finding.value == pytest.approx(0.1, abs=0.04)
        assert finding.interval[0] < 0.1 < finding.interval[1] + 0.02
        assert f"% of the {part} labels are wrong" in finding.statement or "more than" in (
            finding.statement
        )
        assert finding.where.startswith(part)


def test_the_interval_covers_the_share_that_was_changed():
    covered = 0
    for seed in range(40):
        subject = blobs(seed, test=0.1, n=600)
        low, high = found(subject).interval
        covered += low <= 0.1 <= high
    assert covered >= 36  # 38 of 40 on average


def test_most_suspects_are_culprits():
    x, y, hit = clusters(1500, 3, noise=0.1)
    subject = Subject(nn.Linear(5, 5), {"train": (x, y), "test": clusters(300, 9)[:2]})
    suspects = found(subject).evidence["parts"]["train"]["suspects"]
    assert len(suspects) > 100
    assert hit[suspects].float().mean() > 0.9


@pytest.fixture(scope="module")
def digits():
    data = load(Digits())
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    x, y = data.train.inputs, data.train.targets
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    return network, data


def test_digits_as_they_are_and_with_a_tenth_wrong(digits):
    network, data = digits
    parts = {k: (p.inputs, p.targets) for k, p in data.parts.items()}
    healthy = found(Subject(network, parts, classes=data.classes))
    assert healthy.verdict is not Verdict.WARN
    x, y = parts["train"]
    wrong, hit = changed(y, 0.1, 0, 10)
    finding = found(Subject(network, parts | {"train": (x, wrong)}, classes=data.classes))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx(float(hit.float().mean()), abs=0.05)
    assert finding.evidence["parts"]["train"]["confident_learning"] == pytest.approx(0.1, abs=0.04)
    assert isinstance(finding.figures[-1], Pictures)
    assert "equal" in finding.verified


def test_a_network_that_knows_nothing_does_not_accuse_the_labels():
    torch.manual_seed(0)
    u, v, _ = clusters(1000, 1)
    finding = found(Subject(nn.Linear(5, 5), {"test": (u, v)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert "errs too often itself" in finding.statement


def test_a_network_that_guesses_between_two_classes_does_not_accuse_the_labels():
    x, y, _ = clusters(2000, 0, classes=2)
    for seed in range(5):
        torch.manual_seed(seed)
        network = nn.Linear(2, 2)
        with torch.no_grad():  # it looks along the clouds, where there is nothing to see
            network.weight.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
            network.bias.copy_(torch.tensor([-4.0, 4.0]))
        finding = found(Subject(network, {"test": (x, y)}, seed=seed))
        assert finding.verdict is Verdict.UNKNOWN
        assert "errs too often itself" in finding.statement


def test_hard_classes_are_no_wrong_labels():
    # neighbouring clouds overlap: a third of the answers is wrong, but not the clear ones
    for seed in range(5):
        x, y, _ = clusters(4000, seed)
        finding = found(Subject(nn.Linear(5, 5), {"train": (x / 1, y)}))
        assert finding.verdict is Verdict.PASS
        generator = torch.Generator().manual_seed(seed)
        hard = x + 1.5 * torch.randn(x.shape, generator=generator)
        finding = found(Subject(nn.Linear(5, 5), {"train": (hard, y)}))
        assert finding.verdict is not Verdict.WARN
        assert finding.evidence["parts"]["train"]["confident_learning"] > 0.05


def test_tokens():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(800) % 2
    x = torch.randint(40, (800, 12), generator=generator) + 40 * y[:, None]
    network = nn.Sequential(nn.Embedding(80, 2), nn.Flatten(), nn.Linear(24, 2))
    wrong, _ = changed(y, 0.15, 0, 2)
    finding = found(Subject(network, {"train": (x, wrong)}))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx(0.15, abs=0.06)
    assert isinstance(finding.figures[-1], Listing)


def test_what_it_cannot_judge():
    x, y, _ = clusters(60, 0)
    few = found(Subject(nn.Linear(5, 5), (x, y)))
    assert few.verdict is Verdict.UNKNOWN
    assert "at least 100 test examples" in few.statement
    x = torch.randn(200, 5)
    one = found(Subject(nn.Linear(5, 5), {"train": (x, torch.zeros(200, dtype=torch.int64))}))
    assert one.verdict is Verdict.UNKNOWN
    assert "two classes or more" in one.statement
    line = Subject(nn.Linear(5, 1), (x, torch.randn(200, 1)), nn.MSELoss(reduction="none"))
    assert "is about classifiers" in found(line).statement


def test_tokens_of_every_integer_type_are_told_apart():
    tokens = torch.tensor([[3, 19], [19, 240]])
    for dtype in (torch.uint8, torch.int32, torch.int64):
        rows, columns = _features(tokens.to(dtype)).nonzero()
        assert (rows.tolist(), columns.tolist()) == ([0, 0, 1, 1], [3, 19, 19, 240])
