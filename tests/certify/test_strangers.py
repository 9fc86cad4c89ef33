"""Foreign modules: bounds that nothing goes below, or one sentence that names the operator."""

import re

import pytest
import torch
from tests.audit import zoo
from tests.certify.strangers import STRANGERS, made

from wellposed.certify import METHODS, certify, lipschitz, trace
from wellposed.certify._product import Product
from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, L2, Linf

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")

KNOWN = [name for name, stranger in STRANGERS.items() if not stranger.refused]
REFUSED = [name for name, stranger in STRANGERS.items() if stranger.refused]


def examples(name, count=3):
    stranger = STRANGERS[name]
    generator = torch.Generator().manual_seed(1)
    if stranger.dtype == torch.int64:
        return torch.randint(0, 9, (count, *stranger.shape), generator=generator)
    return torch.rand((count, *stranger.shape), generator=generator).to(stranger.dtype)


def margins(model, inputs, labels):
    outputs = model(inputs).double()
    if outputs.dim() == 1:
        return torch.where(labels == 1, outputs, -outputs)
    own = outputs.gather(1, labels[:, None])[:, 0]
    return own - outputs.scatter(1, labels[:, None], -torch.inf).amax(1)


def labels_of(model, inputs):
    outputs = model(inputs)
    return outputs.argmax(1) if outputs.dim() > 1 else (outputs > 0).long()


@pytest.mark.parametrize("name", KNOWN)
def test_no_point_goes_below_the_bound(name):
    model, x = made(name, scale=1.5), examples(name)
    y = labels_of(model, x)
    graph = trace(model, x.shape[1:])
    generator = torch.Generator().manual_seed(2)
    for ball in (Linf(0.1), L2(0.5)):
        least = APGD(steps=6)(model, x, y, ball).margin.double()
        for _ in range(10):
            points = ball.random(x, generator=generator)
            least = torch.minimum(least, margins(model, points, y).detach())
        for method in METHODS if ball.norm == "linf" else ("auto",):
            found = certify(graph, x, y, ball, method=method)
            assert found.margin.isfinite().all()
            assert (found.margin <= least).all(), (method, ball)
            assert not (found.certified & (least <= 0)).any()


@pytest.mark.parametrize("name", KNOWN)
def test_a_ball_of_radius_0_has_the_margin_itself(name):
    model, x = made(name), examples(name)
    y = labels_of(model, x)
    right = margins(model, x, y)
    found = certify(model, x, y, Linf(0.0))
    assert (found.margin <= right).all()
    torch.testing.assert_close(found.margin, right.detach(), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_no_pair_of_points_is_further_apart_than_the_lipschitz_bound_says(name):
    model, x = made(name), examples(name, 40)
    graph = trace(model, x.shape[1:])
    if any(isinstance(operation, Product) for operation in graph.operations):
        with pytest.raises(ArgumentError, match="is a product of two values that depend on"):
            lipschitz(graph)
        return
    constant = lipschitz(graph).constant
    z = model(x).double().reshape(len(x), -1)
    apart = (z[:20] - z[20:]).norm(dim=1) / (x[:20] - x[20:]).double().flatten(1).norm(dim=1)
    assert (apart <= constant).all()


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_in_a_sentence_that_names_what_is_missing(name):
    model, x = made(name), examples(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ArgumentError) as caught:
        certify(model, x, torch.zeros(len(x), dtype=torch.long), Linf(0.01))
    message = str(caught.value)
    assert re.search(STRANGERS[name].refused, message), message
    assert "\n" not in message
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "method"),
    [("random", "crown-ibp"), pytest.param("trained", "crown", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("kind", ["vgg", "resnet", "densenet", "mobilenet"])
def test_architectures_of_zoos_are_bounded(kind, weights, method):
    model = zoo.made(kind).eval() if weights == "random" else zoo.trained(kind, epochs=1)
    x, y = (part[:2] for part in zoo.digits(kind, 50)["test"])
    for eps in (0.001, 0.01):
        least = APGD(steps=5)(model, x, y, Linf(eps)).margin.double()
        assert (certify(model, x, y, Linf(eps), method=method).margin <= least).all()


def test_the_transformer_of_the_zoo_is_refused_by_its_layer_norm():
    x, y = zoo.digits("vit", 50)["test"]
    with pytest.raises(ArgumentError, match=r"LayerNorm 'encoder.layers.0.norm1' applies layer_"):
        certify(zoo.made("vit"), x, y, Linf(0.01))


@pytest.mark.parametrize("kind", zoo.TOKENS)
def test_tokens_have_no_ball(kind):
    x, y = zoo.digits(kind, 50)["test"]
    with pytest.raises(ArgumentError, match=r"inputs of torch\.int64 have no small changes"):
        certify(zoo.made(kind), x, y, Linf(0.01))
