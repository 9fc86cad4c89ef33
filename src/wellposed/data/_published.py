"""Published datasets: the checksums of their files and where they can be had."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded.

    Args:
        name: Its name in the cache and below a mirror.
        url: Where its publisher, or a mirror that is widely used, keeps it.
        sha256: Of its bytes.
        size: Its bytes; no more than this is ever written.
    """

    name: str
    url: str
    sha256: str
    size: int


TRAIN_INPUTS = "train-images-idx3-ubyte"
TRAIN_TARGETS = "train-labels-idx1-ubyte"
TEST_INPUTS = "t10k-images-idx3-ubyte"
TEST_TARGETS = "t10k-labels-idx1-ubyte"


def _gzipped(base: str, files: dict[str, tuple[str, int]]) -> tuple[Remote, ...]:
    return tuple(
        Remote(f"{name}.gz", f"{base}/{name}.gz", sha256, size)
        for name, (sha256, size) in files.items()
    )


MNIST_FILES = _gzipped(
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    {
        TRAIN_INPUTS: ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422),
        TRAIN_TARGETS: ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881),
        TEST_INPUTS: ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877),
        TEST_TARGETS: ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542),
    },
)
FASHION_MNIST_FILES = _gzipped(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    {
        TRAIN_INPUTS: (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            26421880,
        ),
        TRAIN_TARGETS: ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515),
        TEST_INPUTS: ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102),
        TEST_TARGETS: ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148),
    },
)
CIFAR10_FILES = (
    Remote(
        "cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170052171,
    ),
)

CONTENT: dict[str, dict[str, str]] = {
    "mnist": {
        TRAIN_INPUTS: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        TRAIN_TARGETS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        TEST_INPUTS: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        TEST_TARGETS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        TRAIN_INPUTS: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        TRAIN_TARGETS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        TEST_INPUTS: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        TEST_TARGETS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "cifar10": {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
}
"""SHA-256 of the uncompressed content, by dataset and file."""


def identify(sha256: str) -> tuple[str, str] | None:
    """The dataset and file whose published content has this SHA-256, if any."""
    for dataset, files in CONTENT.items():
        for name, known in files.items():
            if known == sha256:
                return dataset, name
    return None
