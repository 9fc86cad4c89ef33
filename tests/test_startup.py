"""Asking for help must not load torch."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "code",
    [
        "import wellposed",
        "import wellposed.cli",
        "import wellposed.report, wellposed.runs, wellposed.pde, wellposed.stats",
        "from typer.testing import CliRunner; from wellposed.cli import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0",
        "from typer.testing import CliRunner; from wellposed.cli import app; "
        "assert CliRunner().invoke(app, ['train', '--help']).exit_code == 0",
    ],
)
def test_torch_stays_out(code):
    check = f"{code}\nimport sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
