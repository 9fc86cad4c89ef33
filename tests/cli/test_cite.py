import shutil


def test_what_a_run_used_is_cited(cli, finished):
    out = cli("cite", finished).out
    assert "@misc{alpaydin1998optical," in out
    assert out.count("alpaydin1998optical") == 1


def test_a_description_that_is_none_is_passed_over(cli, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text("[]")
    found = cli("cite", "run")
    assert found.code == 0
    assert "alpaydin" not in found.out


def test_what_all_runs_of_a_race_used_is_cited_once(cli, raced):
    found = [record["bibtex"] for record in cli("cite", raced, "--json").records]
    assert len(found) == len(set(found))
    assert any("Adam" in text for text in found)
    assert any("alpaydin1998optical" in text for text in found)


def test_a_name_is_cited_without_a_run(cli):
    assert "@inproceedings{foret2021sharpness," in cli("cite", "sam").out
    [record] = cli("cite", "svrg", "--json").records
    assert "johnson2013accelerating" in record["bibtex"]


def test_what_is_neither_run_nor_name_is_bad_input(cli):
    found = cli("cite", "adamv")
    assert found.code == 2
    assert "adamv" in found.err
