import numpy as np

from wellposed.runs import RunFolder


def test_a_network_is_measured_again_to_the_same_numbers(cli, finished):
    records = cli("evaluate", finished, "--json").records
    recorded = RunFolder.open(finished).read_json("results.json")["splits"]
    assert {r["split"]: (r["n"], r["error"], r["loss"]) for r in records} == {
        part: (s["n"], s["error"], s["loss"]) for part, s in recorded.items()
    }
    assert {r["split"]: tuple(r["error_interval"]) for r in records} == {
        part: tuple(s["error_interval"]) for part, s in recorded.items()
    }


def test_people_get_a_table(cli, finished):
    lines = cli("evaluate", finished).out.splitlines()
    assert lines[0] == f"{finished} on digits; errors with 95 % intervals"
    assert lines[1].split()[:3] == ["part", "examples", "loss"]


def test_other_data_are_measured(cli, finished, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 1, 8, 8)), y=np.arange(30) % 10)
    [record] = cli("evaluate", finished, "--data", "a.npz", "--json").records
    assert record["n"] == 30
    assert record["error"] == 0.9


def test_a_race_is_refused(cli, raced):
    found = cli("evaluate", raced)
    assert found.code == 2
    assert f"name one of them, such as {raced}/runs/adam/seed-0" in found.err
