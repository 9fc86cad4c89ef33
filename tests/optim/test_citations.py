"""BibTeX for torch's optimizers."""

import re

import pytest

from wellposed import optim

TORCHS = [
    name
    for name, value in vars(optim).items()
    if isinstance(value, type) and value.__module__.startswith("torch.optim")
    and issubclass(value, optim.Optimizer) and value is not optim.Optimizer
]  # fmt: skip


@pytest.mark.parametrize("name", TORCHS)
def test_each_has_an_entry_with_the_fields_that_matter(name):
    for entry in re.split(r"\n\n(?=@)", optim.CITATIONS[name]):
        assert re.fullmatch(r"@\w+\{[\w-]+,.*\n\}", entry, re.DOTALL)
        assert entry.count("{") == entry.count("}")
        for field in ("author", "title", "year"):
            assert re.search(rf"^  {field}\s*= {{.+", entry, re.MULTILINE)


def test_nothing_else_is_listed():
    assert set(optim.CITATIONS) == set(TORCHS)
