import pytest
import torch
from tests.certify.test_operators import kinds
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError

READ = {
    "transpose": (lambda x: x.transpose(1, 3), ["Copies"]),
    "permute": (lambda x: x.permute(0, 2, 3, 1), ["Copies"]),
    "slices": (lambda x: x[:, :, 1:5:2] + x[:, :, ::3], ["Copies", "Copies", "Sum"]),
    "select": (lambda x: x[:, 1], ["Copies"]),
    "by a list": (lambda x: x[:, :, [0, 4, 0]], ["Copies"]),
    "chunks": (lambda x: torch.sub(*x.chunk(2, 1)), ["Copies", "Copies", "Sum"]),
    "splits": (lambda x: x.split([1, 5], 2)[1], ["Copies"]),
    "unbound": (lambda x: x.unbind(1)[0], ["Copies"]),
    "flip": (lambda x: x.flip(3).roll(1, 2), ["Copies", "Copies"]),
    "repeated": (lambda x: x.repeat(1, 2, 1, 1), ["Copies"]),
    "zeros around": (lambda x: functional.pad(x, (1, 2)), ["Copies"]),
    "ones around": (lambda x: functional.pad(x, (1, 2), value=1.0), ["Copies", "Scale"]),
    "reflected": (lambda x: functional.pad(x, (1, 2, 0, 1), "reflect"), ["Copies"]),
    "replicated": (lambda x: functional.pad(x, (1, 2, 0, 1), "replicate"), ["Copies"]),
    "nearest": (lambda x: functional.interpolate(x, (9, 13)), ["Copies"]),
    "pixel shuffle": (nn.PixelUnshuffle(2), ["Copies"]),
    "channel shuffle": (nn.ChannelShuffle(2), ["Copies"]),
    "patches": (lambda x: functional.unfold(x, 3, stride=2), ["Copies"]),
    "lower triangle": (lambda x: x.tril(), ["Copies"]),
    "rows side by side": (lambda x: torch.cat([x, -x], 2),
                          ["Scale", "Copies", "Copies", "Sum", "Scale"]),
    "vectors side by side": (
        lambda x: torch.cat([x.flatten(1), x.flatten(1)], 1),
        ["Reshape", "Reshape", "Concatenation"],
    ),
    "a token": (
        lambda x: torch.cat([torch.ones(len(x), 1, 6) * 2, x.flatten(1, 2)], 1),
        ["Reshape", "Copies", "Scale"],
    ),
    "stack": (lambda x: torch.stack([x, x], 1), ["Copies", "Copies", "Sum", "Scale"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_values_that_move_are_read(name):
    function, right = READ[name]
    assert kinds(function) == right


REFUSED = {
    "from one example to another": lambda x: x.flip(0),
    "is not a batch of examples": lambda x: x[:2],
    "along the batch": lambda x: torch.stack([x, x]).transpose(0, 1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_mixes_examples_is_refused(message):
    with pytest.raises(ArgumentError, match=f"{message}|is not a batch"):
        kinds(REFUSED[message])


def test_values_do_not_broadcast_over_other_examples():
    with pytest.raises(ArgumentError, match="of values with different numbers of axes"):
        kinds(lambda x: x.mean(2) + x, (3, 3))


def test_the_places_of_the_largest_are_refused():
    with pytest.raises(ArgumentError, match="to the places that max finds"):
        kinds(lambda x: x.max(1).indices)
