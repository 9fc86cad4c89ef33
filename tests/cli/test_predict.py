import os

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from wellposed.runs import RunFolder


@pytest.fixture
def picture(tmp_path):
    """A seven, light on black, as a large PNG."""
    digits = load_digits()
    seven = digits.images[digits.target.tolist().index(0)]
    pixels = np.asarray(seven * 255 / 16, dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "0.png")
    return tmp_path / "0.png"


def test_a_picture_gets_a_label_and_probabilities(cli, finished, picture):
    [record] = cli("predict", finished, picture, "--json").records
    assert record["label"] == "0"
    assert record["probability"] == max(record["probabilities"].values())
    assert sum(record["probabilities"].values()) == pytest.approx(1)
    assert list(record["probabilities"]) == list("0123456789")


def test_ink_on_paper_is_inverted(cli, finished, picture, tmp_path):
    ink = Image.fromarray(255 - np.asarray(Image.open(picture)))
    ink.convert("RGB").save(tmp_path / "0.jpg", quality=95)
    [found] = cli("predict", finished, "0.jpg", "--invert", "--json").records
    assert found["label"] == "0"


def test_people_get_a_line_per_picture(cli, finished, picture):
    lines = cli("predict", finished, picture, picture).out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[1:3] == ["0", "0"]


def bomb(path):
    """A PNG that announces 60,000 x 60,000 pixels in its header."""
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    import zlib

    chunk = len(header[4:]).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)


def test_hostile_pictures_are_refused(cli, finished, tmp_path):
    bomb(tmp_path / "bomb.png")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("bomb.png", "text.png", "absent.png"):
        found = cli("predict", finished, name)
        assert found.code == 2
        assert name in found.err
        assert found.err.count("\n") == 1


DATA = {
    "name": "x",
    "classes": ["a", "b"],
    "shape": [1, 8, 8],
    "standardization": {"mean": [0.0], "std": [1.0]},
}


@pytest.mark.parametrize("command", ["predict", "evaluate", "resume", "cite"])
def test_code_that_a_run_folder_names_is_run_only_if_trusted(cli, tmp_path, command):
    (tmp_path / "strange_model.py").write_text("raise SystemError('ran')\n")
    recipe = (tmp_path / "recipe.toml").read_text().replace('"linear"', '"strange_model:net"')
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe=recipe, provenance={})
    folder.write_json("data.json", DATA)
    more = ["x.png"] if command == "predict" else []
    found = cli(command, folder.path, *more)
    assert found.code == 2
    assert "names code of its own, strange_model:net, which would be run" in found.err
    assert "--trust" in found.err
    assert "SystemError: ran" in cli(command, folder.path, *more, "--trust").err


def test_a_pipe_is_not_waited_for(cli, tmp_path, finished):
    os.mkfifo(tmp_path / "x.png")
    found = cli("predict", finished, tmp_path / "x.png")
    assert found.code == 2
    assert "x.png is no plain file; give a PNG or JPEG file" in found.err
