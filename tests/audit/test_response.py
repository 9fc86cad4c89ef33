import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._response import batches, plain, predicted, respond, seed_of, views
from wellposed.data import Standardization
from wellposed.errors import ArgumentError
from wellposed.perturb import Clutter, Noise, Rotation, Shift


class First(nn.Module):
    """The class is the row of the lightest pixel of the first column."""

    def forward(self, x):
        return x[:, 0, :, 0]


def subject(n=40, batch_size=16, **more):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n, 1, 8, 8, generator=generator)
    data = {"test": (images, images[:, 0, :, 0].argmax(1))}
    return Subject(First(), data, input_range=(0.0, 1.0), batch_size=batch_size, **more)


@pytest.mark.parametrize(("n", "sizes"), [(33, [11, 11, 11]), (16, [16]), (17, [9, 8]), (1, [1])])
def test_batches_hold_every_example_once_and_none_is_single(n, sizes):
    made = subject(n)
    found = list(batches(made, "noise", "test", None))
    assert [len(batch) for batch in found] == sizes
    assert torch.equal(torch.cat(found), made.take("test")[0])


def test_batches_are_in_raw_units():
    made = subject(standardization=Standardization((0.25,), (0.5,)))
    raw = torch.cat(list(batches(made, "noise", "test", None)))
    torch.testing.assert_close(raw, 0.5 * made.take("test")[0] + 0.25)
    guess = predicted(made, raw)
    assert torch.equal(guess, made.take("test")[0][:, 0, :, 0].argmax(1))


def test_predictions_are_those_of_the_perturbed_images():
    made = subject()
    responses, refused = respond(made, "viewpoint", (Shift, Rotation), None)
    assert not refused
    for response in responses:
        for severity in range(1, 6):
            expected = [
                First()(response.kind(severity, seed=seed_of(made, number))(raw)).argmax(1)
                for number, raw in enumerate(batches(made, "viewpoint", "test", None))
            ]
            assert torch.equal(response.predictions[severity - 1], torch.cat(expected))
    prints = [p for response in responses for p in response.sha256]
    assert len(set(prints)) == 10


def test_outputs_that_are_not_finite_predict_nothing():
    made = subject()
    images, targets = made.take("test")
    made.model.forward = lambda x: torch.where(x[:, :1, 0, 0] < 0.5, torch.nan, x[:, 0, :, 0])
    base = plain(made, "noise", None)
    broken = images[:, 0, 0, 0] < 0.5
    assert 5 < broken.sum() < 35
    assert torch.equal(base.predictions == -1, broken)
    assert torch.equal(base.predictions[~broken], targets[~broken])


def test_the_range_is_widened_to_what_was_found_a_little_outside():
    made = subject()
    made.input_range = (0.05, 1.5)
    images, _ = made.take("test")
    assert plain(made, "noise", None).input_range == (float(images.min()), 1.5)


def test_what_the_images_do_not_allow_is_named():
    responses, refused = respond(subject(), "clutter", (Noise, Clutter), None)
    assert [response.kind for response in responses] == [Noise]
    assert "at least 16x16 pixels" in refused[0]


def test_views_are_what_was_judged():
    made = subject()
    rows = torch.tensor([3, 0])
    found = views(made, "noise", Noise, None, rows)
    raw = next(batches(made, "noise", "test", None))
    assert torch.equal(found[0], raw[rows])
    assert torch.equal(found[4], Noise(4, seed=seed_of(made, 0))(raw)[rows])


def test_images_without_a_range_are_refused():
    made = subject()
    made.input_range = None
    with pytest.raises(ArgumentError, match="blur changes raw images within their range"):
        plain(made, "blur", None)
