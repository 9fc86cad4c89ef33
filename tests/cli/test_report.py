import shutil


def test_the_report_is_written_again(cli, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    found = cli("report", "run")
    assert (found.code, found.out) == (0, "run/report.html\n")
    assert (tmp_path / "run" / "report.html").exists()
    assert cli("report", "run", "--json").records == [
        {"event": "report", "path": "run/report.html"}
    ]


def test_what_is_no_run_is_refused(cli):
    found = cli("report", "absent")
    assert found.code == 2
    assert "absent is missing" in found.err
