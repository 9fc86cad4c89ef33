import json

import torch

from wellposed.data import Dataset, Examples, Standardization


def dataset(**settings):
    part = Examples(torch.rand(6, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2]))
    return Dataset(
        name="toy",
        classes=("a", "b", "c"),
        train=part,
        validation=None,
        test=part,
        standardization=Standardization((0.1,), (0.3,)),
        **settings,
    )


def test_knows_its_shape_and_classes():
    data = dataset()
    assert data.shape == (1, 2, 2)
    assert data.num_classes == 3
    assert list(data.parts) == ["train", "test"]


def test_describes_itself_in_strict_json():
    data = dataset(license="MIT", origin="here", input_range=(-1.0, 2.5))
    described = data.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described == {
        "name": "toy",
        "license": "MIT",
        "source": "here",
        "citation": "",
        "classes": ["a", "b", "c"],
        "shape": [1, 2, 2],
        "parts": {
            "train": {"n": 6, "sha256": data.train.sha256},
            "validation": None,
            "test": {"n": 6, "sha256": data.test.sha256},
        },
        "standardization": {"mean": [0.1], "std": [0.3]},
        "input_range": [-1.0, 2.5],
    }
