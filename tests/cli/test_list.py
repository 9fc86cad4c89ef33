import pytest

from wellposed.cli._list import TABLES


@pytest.mark.parametrize("kind", [kind for kind in TABLES if kind != "optimizers"])
def test_every_kind_is_listed_with_a_line_each(cli, kind):
    lines = cli("list", kind).out.splitlines()
    assert lines[0].split() == ["name", "what", "it", "is"]
    assert len(lines) > 1
    for line in lines[1:]:
        name, _, about = line.partition(" ")
        assert name == name.lower()
        assert len(about.strip()) > 5
        assert not set("$\\{}") & set(about)
    records = cli("list", kind, "--json").records
    assert [r["name"] for r in records] == [line.split()[0] for line in lines[1:]]


def test_arguments_are_listed_for_machines(cli):
    [lenet] = [r for r in cli("list", "models", "--json").records if r["name"] == "mlp"]
    assert "hidden" in lenet["arguments"]


def test_optimizers_are_listed_by_family_with_what_a_step_costs(cli):
    *tables, end = cli("list", "optimizers").out.strip().split("\n\n")
    found = {}
    for table in tables:
        head, *lines = table.splitlines()
        assert "per step" in head
        for line in lines:
            name, _, about = line.partition(" ")
            assert len(about.strip()) > 5
            assert not set("$\\{}") & set(about)
            found[name] = head.partition("  ")[0].lower()
    records = cli("list", "optimizers", "--json").records
    assert found == {record["name"]: record["family"] for record in records}
    assert found["sam"] == "relaxation"
    assert found["spsa"] == "zeroth order"
    assert "NewtonCG" in end
