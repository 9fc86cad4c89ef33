import pytest
import torch
from torch import nn

from wellposed.audit._fresh import fresh
from wellposed.audit._subject import weights_digest
from wellposed.errors import ArgumentError


class Token(nn.Module):
    """Has a parameter that no module draws."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return x + self.token


def shifted(model):
    """Weights that look trained."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(5)
    return model


def test_rebuild_comes_first(subject, net):
    made = subject(shifted(net(0)), rebuild=lambda: net(3))
    model, how = fresh(made, "x")
    assert how == "rebuilt"
    assert weights_digest(model.state_dict()) == weights_digest(net(3).state_dict())


def test_modules_draw_their_weights_again_and_the_network_is_untouched(subject, net):
    model = shifted(net(0, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))
    model[1].running_mean.fill_(7)
    before = weights_digest(model.state_dict())
    state = torch.get_rng_state()
    copies = [fresh(subject(model), "x", seed) for seed in (0, 0, 1)]
    assert copies[0][1] == "weights drawn again"
    assert torch.equal(torch.get_rng_state(), state)
    assert weights_digest(model.state_dict()) == before
    digests = [weights_digest(copied.state_dict()) for copied, _ in copies]
    assert digests[0] == digests[1] != digests[2]
    assert copies[0][0][0].weight.abs().max() <= 0.5  # nn.Linear draws within 1 / sqrt(4)
    assert not copies[0][0][1].running_mean.any()


def test_attention_is_drawn_again(subject, net):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x):
            return self.inner(x[:, None]).squeeze(1)

    model = shifted(net(0, Attention(), nn.Linear(4, 3)))
    found, _ = fresh(subject(model), "x")
    assert found[0].inner.self_attn.in_proj_weight.abs().max() < 1
    assert found[0].inner.self_attn.out_proj.weight.abs().max() < 1


def test_initial_weights_serve_where_a_parameter_is_drawn_by_nobody(subject, net):
    model = net(0, Token(), nn.Linear(4, 3))
    start = {k: v.clone() for k, v in model.state_dict().items()}
    made = subject(shifted(model), initial=start)
    found, how = fresh(made, "x")
    assert how == "initial weights"
    assert weights_digest(found.state_dict()) == weights_digest(start)


def test_where_nothing_is_known_it_says_so(subject, net):
    with pytest.raises(ArgumentError, match=r"how 0\.token began is not known; give the subject"):
        fresh(subject(net(0, Token(), nn.Linear(4, 3))), "x")

    class Locked(nn.Linear):
        def __deepcopy__(self, memo):
            raise RuntimeError("a lock")

    with pytest.raises(ArgumentError, match="it: RuntimeError: a lock; give the subject rebuild="):
        fresh(subject(net(0, Locked(4, 3))), "x")


def test_what_rebuild_makes_must_be_another_network_and_not_trained(subject, net):
    model = net(0)
    for rebuild, said in (
        (lambda: model, "the very network that is examined"),
        (lambda: net(0), "the very weights that are examined"),
        (lambda: 3, "it made int"),
    ):
        with pytest.raises(ArgumentError, match=said):
            fresh(subject(model, rebuild=rebuild), "x")
