import pytest
import torch

from wellposed.errors import DataError
from wellposed.perturb._stored import fingerprint, store, stored

CPU = torch.device("cpu")


def test_what_is_stored_comes_back(tmp_path):
    tensors = {"a": torch.arange(6).reshape(2, 3).T, "b": torch.tensor([True, False])}
    notes = {"done": ["x"], "share": 0.1, "none": None}
    store(tmp_path / "work", "name", tensors, notes)
    found, said = stored(tmp_path / "work", "name", CPU)
    assert said == notes
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)


def test_refuses_what_belongs_to_other_work_or_is_damaged(tmp_path):
    path = tmp_path / "work"
    store(path, "name", {"a": torch.zeros(2)})
    with pytest.raises(DataError, match="was saved by another attack"):
        stored(path, "other", CPU)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="is no checkpoint of an attack"):
        stored(path, "name", CPU)


def test_a_fingerprint_depends_on_words_values_types_and_shapes():
    base = torch.tensor([1.0, 2.0])
    prints = [
        fingerprint(["a"], [base]),
        fingerprint(["b"], [base]),
        fingerprint(["a"], [base + 1]),
        fingerprint(["a"], [base.unsqueeze(0)]),
        fingerprint(["a"], [base.view(torch.int32)]),
        fingerprint(["a"], [base, torch.tensor(0.5)]),
        fingerprint(["a"], []),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(["a"], [base.clone()]) == prints[0]
