import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import RunFolderError
from wellposed.runs import FORMAT, RunFolder, Status, _folder, fresh_path


def edit(folder, **changes):
    path = folder.path / "run.json"
    info = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in info.items() if v != "gone"}))


def test_new_folder_says_what_it_is(tmp_path):
    folder = RunFolder.create(
        tmp_path / "a" / "run", kind="race", recipe="x = 'é'\n", provenance={"seeds": {"all": 1}}
    )
    opened = RunFolder.open(str(folder.path))
    assert opened == folder
    assert (opened.kind, opened.format, opened.status) == ("race", FORMAT, Status.RUNNING)
    assert opened.recipe == "x = 'é'\n"
    assert opened.read_json("provenance.json") == {"seeds": {"all": 1}}
    assert opened.facts == {}
    assert opened.checkpoints == folder.path / "checkpoints"
    assert opened.log.path.name == "log.jsonl"
    assert opened.clock.path.name == "clock.jsonl"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", opened.info()["created"])


def test_status_keeps_earlier_facts(folder):
    folder.set_status(Status.INTERRUPTED, step=120, message="stopped")
    folder.set_status(Status.DONE, step=200)
    assert folder.status is Status.DONE
    assert folder.facts == {"step": 200, "message": "stopped"}


def test_fact_cannot_replace_what_the_folder_says_of_itself(folder):
    with pytest.raises(RunFolderError, match=r"run.json keeps created, kind for itself"):
        folder.set_status(Status.DONE, kind="race", created="never")


def test_empty_folder_is_taken_and_others_are_not(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", kind="run", recipe="", provenance={})
    with pytest.raises(RunFolderError, match=f"is not empty.*wellposed resume {folder.path}"):
        RunFolder.create(folder.path, kind="run", recipe="", provenance={})
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot write .*file"):
        RunFolder.create(tmp_path / "file", kind="run", recipe="", provenance={})


def test_what_is_no_run_folder_is_said(tmp_path):
    with pytest.raises(RunFolderError, match="nowhere is missing; give a folder that `wellposed"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no run.json"):
        RunFolder.open(tmp_path)


def test_newer_format_is_refused(folder):
    edit(folder, format=FORMAT + 1)
    with pytest.raises(RunFolderError, match=r"has format 2, .*reads up to 1, so upgrade: pip"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "gone"},
        {"format": True},
        {"format": 1.0},
        {"format": "1"},
        {"format": 0},
        {"kind": "walk"},
        {"kind": ["run"]},
        {"kind": "gone"},
        {"status": "fine"},
        {"status": None},
        {"status": {}},
        {"created": 3},
        {"wellposed": None},
        {"recipe_sha256": "gone"},
    ],
    ids=str,
)
def test_damaged_run_is_refused(folder, changes):
    edit(folder, **changes)
    with pytest.raises(RunFolderError, match=r"run.json is damaged: .*; restore it from a copy"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": NaN}', b"\xff"], ids=str)
def test_garbage_is_refused(folder, content):
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError, match="is damaged"):
        RunFolder.open(folder.path)


@given(content=st.binary())
def test_any_run_file_is_opened_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("a")
    (path / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError):
        RunFolder.open(path)


def test_huge_json_is_refused_unread(folder):
    with (folder.path / "results.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(RunFolderError, match="where at most 64 MiB are read"):
        folder.read_json("results.json")


def test_changed_recipe_is_refused(folder):
    (folder.path / "recipe.toml").write_text("seed = 1\n")
    with pytest.raises(RunFolderError, match="was changed after the run was created"):
        _ = folder.recipe


def test_files_are_written_and_read(folder):
    folder.write("pictures/a.png", b"\x89PNG")
    assert folder.has("pictures/a.png")
    assert not folder.has("pictures/b.png")
    assert not folder.has("pictures")
    assert folder.read("pictures/a.png") == b"\x89PNG"
    folder.write_json("results.json", {"loss": float("inf"), "n": 1})
    assert folder.read_json("results.json") == {"loss": "inf", "n": 1}
    with pytest.raises(RunFolderError, match="it does not exist"):
        folder.read_json("data.json")


NAMES = ["", ".", "..", "../a", "a/../b", "/etc/passwd", "a\\b", "C:a", "a\0b", "a\nb", ".hidden"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_stay_inside(folder, name):
    for use in (folder.read, folder.read_json, folder.has, lambda n: folder.write(n, "x")):
        with pytest.raises(RunFolderError, match="is not a name inside a run folder"):
            use(name)


@given(name=st.text(alphabet="a./\\\0:~\n", max_size=12))
def test_no_name_escapes(tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("a")
    (outside / "run").mkdir()
    try:
        RunFolder(outside / "run").write(name, "x")
    except RunFolderError:
        written = 0
    else:
        written = 1
    assert [p.name for p in outside.iterdir()] == ["run"]
    assert sum(p.is_file() for p in (outside / "run").rglob("*")) == written


def test_links_inside_are_not_followed(folder, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (folder.path / "pictures").symlink_to(tmp_path / "outside")
    (folder.path / "results.json").symlink_to(tmp_path / "outside" / "secret")
    with pytest.raises(RunFolderError, match="pictures is a symbolic link"):
        folder.write("pictures/a.png", b"")
    with pytest.raises(RunFolderError, match="pictures is a symbolic link"):
        folder.read("pictures/secret")
    with pytest.raises(RunFolderError, match=r"results.json is a symbolic link"):
        folder.read_json("results.json")
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["secret"]


def test_link_to_the_folder_itself_is_fine(folder, tmp_path):
    (tmp_path / "latest").symlink_to(folder.path)
    assert RunFolder.open(tmp_path / "latest").recipe == folder.recipe


def test_full_disk_keeps_the_status(folder, full_disk):
    with pytest.raises(RunFolderError, match="the disk is full"):
        folder.set_status(Status.DONE)
    assert folder.status is Status.RUNNING


def test_file_in_the_place_of_a_folder_is_a_sentence(folder):
    folder.write("pictures", "a file")
    with pytest.raises(RunFolderError, match=r"cannot write .*pictures"):
        folder.write("pictures/a.png", b"")


def test_unwritable_parent_is_a_sentence(tmp_path, without_permission):
    with without_permission(tmp_path), pytest.raises(RunFolderError, match="does not let you"):
        RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})
    with without_permission(tmp_path), pytest.raises(RunFolderError, match="does not let you"):
        fresh_path(tmp_path, "run")


def test_runs_of_a_race_are_in_order(tmp_path):
    race = RunFolder.create(tmp_path / "race", kind="race", recipe="", provenance={})
    for name in ("sgd/seed-10", "sgd/seed-2", "adamw/seed-0"):
        RunFolder.create(race.path / "runs" / name, kind="run", recipe="", provenance={})
    (race.path / "runs" / "sgd" / "seed-3").mkdir()  # not begun
    (race.path / "runs" / "sgd" / "seed-4").symlink_to(race.path / "runs" / "sgd" / "seed-2")
    assert [str(r.path.relative_to(race.path)) for r in race.runs()] == [
        "runs/adamw/seed-0",
        "runs/sgd/seed-2",
        "runs/sgd/seed-10",
    ]
    assert race.run_paths() == [r.path for r in race.runs()]


def test_run_has_no_runs(folder):
    assert folder.runs() == []


def test_fresh_paths_differ_and_are_free(tmp_path):
    paths = [fresh_path(tmp_path / "runs", "LeNet on <digits>/..") for _ in range(3)]
    assert len(set(paths)) == 3
    for path in paths:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-LeNet-on-digits(-\d)?", path.name)
        RunFolder.create(path, kind="run", recipe="", provenance={})


def test_fresh_path_always_has_a_word(tmp_path):
    assert fresh_path(tmp_path, "///").name.endswith("-run")


def test_fresh_path_below_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="file"):
        fresh_path(tmp_path / "file", "run")


def test_uninstalled_package_has_no_version(monkeypatch, tmp_path):
    def missing(name):
        raise _folder.PackageNotFoundError(name)

    monkeypatch.setattr(_folder, "version", missing)
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})
    assert folder.info()["wellposed"] == "unknown"


def test_needs_the_standard_library_only():
    code = (
        "import sys; import wellposed.runs\n"
        "known = sys.stdlib_module_names | {'wellposed'}\n"
        "print([m for m in sys.modules if m.split('.')[0].lstrip('_') not in known"
        " and m.split('.')[0] not in known and not m.startswith('__')])"
    )
    lean = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=lean
    )
    assert not [m for m in eval(found.stdout) if m in {"torch", "numpy", "jinja2", "pydantic"}]


def test_a_folder_in_which_nothing_was_done_can_be_discarded(tmp_path):
    folder = RunFolder.create(tmp_path / "a", kind="run", recipe="", provenance={})
    folder.set_status(Status.FAILED)
    folder.discard()
    assert not folder.path.exists()
    folder.discard()  # again, without harm


def test_a_folder_with_work_in_it_is_not_discarded(tmp_path):
    folder = RunFolder.create(tmp_path / "a", kind="run", recipe="", provenance={})
    folder.log.append({"step": 1})
    folder.discard()
    assert folder.recipe == ""
    assert folder.log.read() == [{"step": 1}]
