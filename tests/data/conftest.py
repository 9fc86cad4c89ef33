"""Small files in every format that is read, and places that see nothing else."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

from wellposed.data import Places
from wellposed.errors import DataError

MNIST_NAMES = {
    "train-images-idx3-ubyte": (100, 28, 28),
    "train-labels-idx1-ubyte": (100,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}


class Files:
    """Bytes of files."""

    @staticmethod
    def read_or_refused(read, name):
        """What `read` gives, or None if it refuses in a sentence with this name."""
        try:
            return read()
        except DataError as refusal:
            if str(name) not in str(refusal):
                pytest.fail(f"{refusal} does not name {name}")
            return None

    @staticmethod
    def idx(values):
        header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
        return header + values.tobytes()

    @staticmethod
    def mnist(folder, *, packed=True, seed=0):
        """The four files, with random pixels and the labels 0..9 in turn."""
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        arrays = {}
        for name, shape in MNIST_NAMES.items():
            values = rng.integers(0, 256, shape) if len(shape) == 3 else np.arange(shape[0]) % 10
            arrays[name] = values.astype(np.uint8)
            content = Files.idx(arrays[name])
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / name).write_bytes(content)
        return arrays

    @staticmethod
    def cifar_records(n=20, seed=0):
        records = np.random.default_rng(seed).integers(0, 256, (n, 3073)).astype(np.uint8)
        records[:, 0] = np.arange(n) % 10
        return records

    @staticmethod
    def cifar(layout, *, protocol=2, n=20):
        """{name: bytes} of the six batches in a layout, "bin" or "py"."""
        files = {}
        for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
            records = Files.cifar_records(n, seed=k)
            if layout == "bin":
                files[f"{name}.bin"] = records.tobytes()
            else:
                batch = {
                    b"batch_label": b"a batch",
                    b"labels": records[:, 0].tolist(),
                    b"data": records[:, 1:].copy(),
                    b"filenames": [b"a.png"] * len(records),
                }
                files[name] = pickle.dumps(batch, protocol=protocol)
        return files

    @staticmethod
    def tar(files):
        """A .tar.gz of {name: bytes}."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    @staticmethod
    def image(size=(8, 6), mode="RGB", kind="PNG", seed=0, **options):
        rng = np.random.default_rng(seed)
        shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
        picture = Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8), mode=None)
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    @staticmethod
    def folder(root, *, parts=("train",), classes=("cat", "dog"), n=6, **options):
        for k, part in enumerate(parts):
            for j, name in enumerate(classes):
                folder = root / part / name
                folder.mkdir(parents=True)
                for i in range(n):
                    content = Files.image(seed=1000 * k + 100 * j + i, **options)
                    (folder / f"{i:04}.png").write_bytes(content)
        return root


@pytest.fixture
def files():
    return Files


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A data folder, an empty cache, no system folders, no downloads."""
    for name in ("WELLPOSED_DATA", "WELLPOSED_OFFLINE", "WELLPOSED_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data").mkdir()
    return Places(tmp_path / "data", offline=True, cache=tmp_path / "cache", system=())
