"""Two processes that check together what one cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 300  # seconds; they take 10 to 30


@pytest.fixture
def pair(tmp_path):
    """Run the functions that pair.py lists under a name, in two processes; their failures."""

    def run(which):
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("pair.py"))]
        processes = [
            subprocess.Popen(
                [*command, str(rank), str(tmp_path / "store"), str(tmp_path / "found"), which],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in (0, 1)
        ]
        try:
            said = [process.communicate(timeout=PATIENCE)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        files = [tmp_path / f"found-{rank}.json" for rank in (0, 1)]
        assert all(file.exists() for file in files), "\n".join(said)
        found = [json.loads(file.read_text()) for file in files]
        failures = [f"{n}: {e}" for f in found for n, e in f.items() if e is not None]
        assert not failures, "\n".join(failures)
        return found

    return run
