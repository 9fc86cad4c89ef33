"""One concept per file, one test file per concept."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "wellposed"
FILES = [p.relative_to(SOURCE) for p in SOURCE.rglob("_[a-z]*.py") if p.stem != "_base"]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_has_its_test_file(path):
    assert (TESTS / path.parent / f"test{path.stem}.py").exists()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_fits_on_a_few_screens(path):
    assert len((SOURCE / path).read_text().splitlines()) <= 400


def test_packages_are_one_deep():
    assert not [p for p in SOURCE.rglob("*.py") if len(p.relative_to(SOURCE).parts) > 2]
