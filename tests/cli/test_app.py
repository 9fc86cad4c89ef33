import subprocess
import sys

import pytest
from typer.testing import CliRunner

import wellposed
from wellposed.cli import app

COMMANDS = [
    "train",
    "resume",
    "evaluate",
    "predict",
    "report",
    "relax",
    "recipe",
    "list",
    "cite",
    "data",
]
PATHS = [[], *([command] for command in COMMANDS)]
PATHS += [["data", command] for command in ("list", "fetch", "check", "show")]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(path, flag):
    found = CliRunner().invoke(app, [*path, flag])
    assert found.exit_code == 0
    assert found.output.startswith("Usage: ")
    assert "\\b" not in found.output
    assert "\b" not in found.output
    assert "..." not in found.output.partition("Commands:")[2]  # short helps are whole


def test_help_names_commands_exit_codes_and_examples():
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(f"  {command} " in text for command in COMMANDS)
    assert all(code in text for code in ("0 ", "1 ", "2 ", "70 ", "130", "143", "141"))
    assert "wellposed train mine.toml --set optimizer.lr=0.1" in text


@pytest.mark.parametrize("path", [[], ["data"]], ids=["wellposed", "data"])
def test_no_command_is_a_call_for_help(cli, path):
    found = cli(*path)
    assert found.code == 0
    assert found.out == cli(*path, "--help").out
    assert found.err == ""


def test_version():
    found = CliRunner().invoke(app, ["--version"])
    assert found.output.startswith(f"wellposed {wellposed.__version__}, Python 3.")


@pytest.mark.parametrize("command", ["--help", "train --help", "--version", "recipe main"])
def test_what_needs_no_torch_does_not_load_it(command):
    code = (
        "import sys; from wellposed.cli._main import run; "
        f"code = run({command.split()}); sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert found.returncode == 0
