def test_what_a_run_used_is_cited(cli, finished):
    out = cli("cite", finished).out
    assert "@misc{alpaydin1998optical," in out
    assert out.count("alpaydin1998optical") == 1


def test_what_all_runs_of_a_race_used_is_cited_once(cli, raced):
    found = [record["bibtex"] for record in cli("cite", raced, "--json").records]
    assert len(found) == len(set(found))
    assert any("Adam" in text for text in found)
    assert any("alpaydin1998optical" in text for text in found)
