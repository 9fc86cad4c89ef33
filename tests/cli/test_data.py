import pytest


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No place but an empty one, and no network."""
    monkeypatch.setenv("WELLPOSED_OFFLINE", "1")
    monkeypatch.delenv("WELLPOSED_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_all_datasets_are_listed_with_where_they_are(cli):
    records = {r["name"]: r for r in cli("data", "list", "--json").records}
    assert records["digits"]["found"].startswith("scikit-learn")
    assert records["imagefolder"]["found"] is None
    text = cli("data", "list").out
    assert "yours; name it with path = ..." in text


def test_a_dataset_is_checked(cli):
    found = cli("data", "check", "digits")
    assert found.code == 0
    assert found.out.startswith("digits is sound: ")
    assert found.out.count("sha256 of") == 3
    [record] = cli("data", "check", "digits", "--json").records
    assert record["event"] == "checked"
    assert record["shape"] == [1, 8, 8]


def test_a_dataset_is_shown(cli):
    out = cli("data", "show", "xor", "--set", "n=100").out
    lines = out.splitlines()
    assert lines[0].startswith("xor: inputs of shape (2,), values from")
    assert "license" in lines[1]
    assert lines[-1].split()[0] == "total"
    [record] = cli("data", "show", "xor", "--set", "n=100", "--json").records
    assert sum(sum(counts) for counts in record["counts"].values()) == 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "digits"], "digits is not published for download; there is nothing to fetch"),
        (["fetch", "cifar10"], "downloads are off"),
        (["check", "digit"], "no dataset is called 'digit'; did you mean 'digits'?"),
        (["check", "npz"], "NPZ needs path"),
        (["show", "npz", "--set", "path=absent.npz"], "absent.npz does not exist"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(cli, arguments, words):
    found = cli("data", *arguments)
    assert found.code == 2
    assert words in found.err
    assert found.err.count("\n") == 1


def test_what_was_fetched_is_said(cli, monkeypatch):
    from wellposed.data import CIFAR10

    monkeypatch.setattr(CIFAR10, "fetch", lambda *_: "/somewhere")
    assert cli("data", "fetch", "cifar10").out == "cifar10 is in /somewhere\n"
