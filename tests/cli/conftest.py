import json

import pytest

from wellposed.cli._main import run

RECIPE = """\
# A linear classifier on digits: the quickest training there is.
data = {name = "digits", test = 0.2}
model = "linear"
optimizer = {name = "sgd", lr = 0.1}
train = {epochs = 1, threads = 1}
"""
RACE = (
    RECIPE
    + """
[compare]
seeds = [0, 1]
[compare.methods.sgd]
[compare.methods.adam]
optimizer = {name = "adam", lr = 0.01}
"""
)


class Ended:
    """How a command ended: its exit code and what it wrote."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def records(self):
        """Standard output as JSON, which every line of it must be."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Runs a command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "race.toml").write_text(RACE)

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder of a finished run; do not change it."""
    return _trained(tmp_path_factory.mktemp("cli"), RECIPE)


@pytest.fixture(scope="session")
def raced(tmp_path_factory):
    """Folder of a finished race; do not change it."""
    return _trained(tmp_path_factory.mktemp("cli"), RACE)


def _trained(place, text):
    (place / "recipe.toml").write_text(text)
    assert run(["train", str(place / "recipe.toml"), "--out", str(place / "run"), "--json"]) == 0
    return place / "run"
