import errno
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import typer

from wellposed.cli import _main, main
from wellposed.cli._main import run
from wellposed.errors import ArgumentError, Interrupted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "wellposed: no such command 'trian'. Did you mean 'train'"),
        (["train", "--sed", "3"], "wellposed: no such option: --sed (Possible options: --seed"),
        (["predict"], "wellposed: missing argument 'RUN'; try `wellposed --help`"),
        (["train", "--seed", "a"], "wellposed: invalid value for '--seed'"),
        (["train", "absent.toml"], "wellposed: cannot read the recipe absent.toml: no such file"),
        (["train", "mian"], "wellposed: no recipe is called 'mian'; did you mean 'main'?"),
        (["resume", "absent"], "wellposed: absent is missing; give a folder that"),
        (["list", "modles"], "wellposed: no kind is called 'modles'; did you mean 'models'?"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_2(cli, arguments, words):
    found = cli(*arguments)
    assert found.code == 2
    assert found.err.startswith(words)
    assert found.err.count("\n") == 1
    assert found.out == ""


def raising(error):
    def app(**_):
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ArgumentError("lr is -1"), 2, "wellposed: lr is -1\n"),
        (Interrupted(signal.SIGINT, "wellposed resume x"), 130, "to go on: wellposed resume x\n"),
        (Interrupted(signal.SIGTERM, "wellposed resume x"), 143, "stopped by signal 15"),
        (typer.Abort(), 130, "stopped before there was anything to resume"),
        (SystemExit(143), 143, ""),
        (SystemExit("words"), 0, ""),
        (BrokenPipeError(errno.EPIPE, "broken"), 141, ""),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 2, "refused x: no space left on"),
        (OSError("odd"), 2, "refused: odd"),
        (MemoryError(), 2, "the memory is full; try a smaller batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "the memory is full; try"),
    ],
)
def test_every_ending_has_its_code_and_sentence(monkeypatch, capsys, error, code, words):
    monkeypatch.setattr(_main, "app", raising(error))
    assert run([]) == code
    assert words in capsys.readouterr().err


def test_a_fault_of_ours_is_kept_in_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(_main, "app", raising(ZeroDivisionError("by\nzero")))
    assert run([]) == 70
    err = capsys.readouterr().err
    assert err.startswith("wellposed: this is a fault of wellposed, not yours: ZeroDivisionError")
    assert "Traceback" not in err
    [log] = tmp_path.iterdir()
    assert str(log) in err
    assert "Traceback" in log.read_text()


def test_a_fault_is_said_even_where_no_file_can_be_written(monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    monkeypatch.setattr(_main, "app", raising(ZeroDivisionError("x")))
    assert run([]) == 70
    assert "details in nowhere" in capsys.readouterr().err


def test_what_is_no_exception_passes(monkeypatch):
    monkeypatch.setattr(_main, "app", raising(GeneratorExit()))
    with pytest.raises(GeneratorExit):
        run([])


def test_a_closed_pipe_that_rich_found_is_not_an_error(monkeypatch):
    error = SystemExit(1)
    error.__context__ = BrokenPipeError()
    monkeypatch.setattr(_main, "app", raising(error))
    assert run([]) == 141


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (1, 1), ("x", 0)])
def test_a_command_s_own_code_is_kept(monkeypatch, value, code):
    monkeypatch.setattr(_main, "app", lambda **_: value)
    assert run([]) == code


def test_ctrl_c_before_anything_is_said(monkeypatch, capsys):
    monkeypatch.setattr(_main, "app", lambda **_: 130)
    assert run([]) == 130
    assert "stopped before there was anything to resume" in capsys.readouterr().err


class Gone:
    """A standard output that cannot be written."""

    def __init__(self, error):
        self.error = error

    def flush(self):
        raise self.error

    def fileno(self):
        return os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize(
    ("error", "code"),
    [(BrokenPipeError(), 141), (OSError(errno.ENOSPC, "No space left on device"), 2)],
)
def test_what_is_lost_at_the_end_is_noticed(monkeypatch, capsys, error, code):
    monkeypatch.setattr(_main, "app", lambda **_: 0)
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Gone(error))
        with pytest.raises(SystemExit) as caught:
            main([])
    signal.signal(signal.SIGTERM, before)
    assert caught.value.code == code


def command(*arguments):
    return [sys.executable, "-m", "wellposed", *arguments]


@pytest.mark.parametrize("arguments", [["list", "recipes"], ["trian"], ["--version"]])
def test_the_module_is_the_command(tmp_path, arguments):
    call = [sys.executable, "-c", "from wellposed.cli import main; main()", *arguments]
    script, module = (
        subprocess.run(line, capture_output=True, check=False, cwd=tmp_path)
        for line in (call, command(*arguments))
    )
    assert module.returncode == script.returncode
    assert (module.stdout, module.stderr) == (script.stdout, script.stderr)


def test_importing_the_module_runs_nothing():
    code = "import wellposed.__main__"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_reader_that_leaves_causes_no_noise(tmp_path):
    script = " ".join(f"'{word}'" for word in command("list", "optimizers"))
    found = subprocess.run(
        ["bash", "-c", f"{script} | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert found.stdout.strip() in {"0", "141"}
    assert found.stderr == ""


LONG = """\
data = "digits"
model = "mlp"
optimizer = "sgd"
train = {epochs = 100000, threads = 1}
"""


def start(tmp_path, text=LONG, *more):
    """A training in another process, once it is under way."""
    (tmp_path / "long.toml").write_text(text)
    process = subprocess.Popen(
        command("train", "long.toml", "--out", "run", *more),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if "epoch" in line or "steps on" in line:
            return process
    raise AssertionError(process.stdout.read())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_can_be_resumed(tmp_path, number, code):
    process = start(tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"stopped by signal {int(number)}; to go on: wellposed resume run" in err
    assert "Traceback" not in err
    assert list(Path(tmp_path, "run", "checkpoints").glob("step-*"))


def test_sigterm_outside_training_exits_with_143(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from wellposed.cli import _main\n"
        "def app(**_):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "_main.app = app\n_main.main([])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert found.returncode == 143
    assert found.stderr == b""


def test_closed_streams_leave_no_traceback(tmp_path):
    code = "from wellposed.cli import main; main(['list', 'recipes'])"
    shell = shlex.join([sys.executable, "-c", code])
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        found = subprocess.run(
            ["sh", "-c", f"{shell} {closed}"], capture_output=True, cwd=tmp_path, check=False
        )
        assert found.returncode == 0
        assert found.stderr == b""
