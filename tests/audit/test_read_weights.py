import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wellposed.audit import fitted_weights, put_weights, read_weights
from wellposed.errors import DataError


class Bomb:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (pytest.fail, ("code from a pickle was run",))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def same(a, b):
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_what_torch_saved_and_safetensors_are_the_same_weights(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.pt"), net.state_dict())
    assert same(read_weights(tmp_path / "w.safetensors"), net.state_dict())


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "weights"])
def test_a_checkpoint_gives_the_state_in_it(net, tmp_path, key):
    torch.save({key: net.state_dict(), "epoch": 3}, tmp_path / "c.pth")
    assert same(read_weights(tmp_path / "c.pth"), net.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_a_wrapper_s_prefix_comes_off(net, prefix):
    state = {prefix + name: value + 1 for name, value in net.state_dict().items()}
    put_weights(net, state, "w.pt")
    assert same(net.state_dict(), {n.removeprefix(prefix): v for n, v in state.items()})


def test_a_pickle_of_a_stranger_is_not_run(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"holds more than tensors, or is damaged"):
        read_weights(tmp_path / "w.pt")
    torch.save({"state_dict": Bomb()}, tmp_path / "v.pt")
    with pytest.raises(
        DataError, match=r"is not unpickled, since it asks for [\w.]+; save"
    ) as said:
        read_weights(tmp_path / "v.pt")
    assert "weights_only" not in str(said.value)  # torch's advice is to run it


@pytest.mark.parametrize(
    ("dtype", "fits"),
    [(torch.float64, True), (torch.bfloat16, True), (torch.int8, True), (torch.complex64, False)],
)
def test_numbers_are_cast_where_no_more_than_rounding_is_lost(net, dtype, fits):
    state = net.state_dict()
    state["0.weight"] = torch.arange(12.0).reshape(4, 3).to(dtype)
    if fits:
        put_weights(net, state, "w.pt")
        assert torch.equal(net[0].weight, torch.arange(12.0).reshape(4, 3))
    else:
        with pytest.raises(DataError, match=r"0\.weight is torch\.complex64, which torch\.float32"):
            put_weights(net, state, "w.pt")
    state["0.weight"] = torch.zeros(4, 3)
    state["1.num_batches_tracked"] = torch.tensor(2.5)
    with pytest.raises(DataError, match=r"is torch\.float32, which torch\.int64 of the model"):
        put_weights(net, state, "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_half_a_file_is_damaged(net, tmp_path, name):
    save = torch.save if name.endswith("pt") else save_file
    save(net.state_dict(), tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        read_weights(tmp_path / name)


def test_size_is_looked_at_before_reading(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3_000_000))
    assert (tmp_path / "w.pt").stat().st_size < 10_000
    with pytest.raises(DataError, match=r"unpacks to .* at most"):
        read_weights(tmp_path / "w.pt", limit=1_000_000)


def test_other_things_are_no_weights(tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        read_weights(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "l.pt")
    with pytest.raises(DataError, match=r"holds list; weights are a state dict"):
        read_weights(tmp_path / "l.pt")


def test_weights_that_do_not_fit_change_nothing(net):
    state = net.state_dict()
    before = {name: value.clone() for name, value in state.items()}
    cases = {
        "it lacks 0.weight": {n: v for n, v in state.items() if n != "0.weight"},
        "it has 9.weight, which the model does not know": {**state, "9.weight": torch.ones(1)},
        r"2.weight has shape \(5, 4\), the model's has \(2, 4\)": {
            **state,
            "2.weight": torch.ones(5, 4),
        },
        r"it lacks 0.weight; did you mean '0.weigth'\?": {
            ("0.weigth" if n == "0.weight" else n): v for n, v in state.items()
        },
    }
    for sentence, wrong in cases.items():
        with pytest.raises(DataError, match=f"w.pt does not fit Sequential: {sentence}"):
            put_weights(net, wrong, "w.pt")
    assert same(net.state_dict(), before)


def test_fitted_weights_are_copies(net):
    found = fitted_weights(net, net.state_dict(), "w")
    found["0.weight"].zero_()
    assert net[0].weight.any()
