"""The reproduction of the same name, with fewer kills: every part of the state must come back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "reproductions" / "kill_and_resume.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_and_resumed_training_equals_the_uninterrupted_one_bit_by_bit(tmp_path):
    command = [sys.executable, str(SCRIPT), "--kills", "2", "--epochs", "1", "--out", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = [*map(json.loads, (tmp_path / "kill-and-resume.jsonl").read_text().splitlines())]
    assert [row["optimizer"] for row in rows] == ["EntropySGD"] * 2 + ["AdamW"] * 2
    assert all(all(row["equal"].values()) for row in rows)
    assert any(row["inside_checkpoint_write"] for row in rows)
    assert "| 2 |" in (tmp_path / "kill-and-resume.md").read_text()
