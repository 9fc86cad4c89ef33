import re

from wellposed.data._published import (
    CIFAR10_FILES,
    CONTENT,
    FASHION_MNIST_FILES,
    MNIST_FILES,
    identify,
)


def test_checksums_are_checksums_and_all_different():
    files = [*MNIST_FILES, *FASHION_MNIST_FILES, *CIFAR10_FILES]
    digests = [f.sha256 for f in files] + [d for c in CONTENT.values() for d in c.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)


def test_files_keep_their_names_at_their_addresses():
    for file in (*MNIST_FILES, *FASHION_MNIST_FILES, *CIFAR10_FILES):
        assert file.url.endswith(f"/{file.name}")
        assert file.url.startswith("http")
        assert file.size > 1000


def test_every_file_of_a_dataset_can_be_downloaded():
    for files, name in ((MNIST_FILES, "mnist"), (FASHION_MNIST_FILES, "fashion-mnist")):
        assert [f.name.removesuffix(".gz") for f in files] == list(CONTENT[name])


def test_content_is_known_by_its_checksum():
    digest = CONTENT["mnist"]["t10k-labels-idx1-ubyte"]
    assert identify(digest) == ("mnist", "t10k-labels-idx1-ubyte")
    assert identify("0" * 64) is None
