import pytest

from wellposed.recipe import Recipe, citations, citations_of

TABLES = {"data": "digits", "model": "lenet", "optimizer": "sgd"}


def keys(recipe):
    return {text.partition("{")[2].partition(",")[0] for text in citations(recipe)}


def test_methods_and_models_are_cited_once():
    race = TABLES | {
        "optimizer": "entropysgd",
        "compare": {"methods": {"a": {}, "b": {"optimizer": "adamw"}, "c": {"optimizer": "adamw"}}},
    }
    found = citations(Recipe.from_tables(race))
    assert len(found) == len(set(found))
    assert {"lecun1998gradient", "chaudhari2017entropy"} <= keys(Recipe.from_tables(race))
    assert any("Decoupled" in text for text in found)  # AdamW, by torch's class


def test_each_is_bibtex():
    for text in citations(Recipe.from_tables(TABLES)):
        assert text.startswith("@")
        assert text.count("{") == text.count("}")


def test_an_object_of_the_user_needs_no_citation(tmp_path, monkeypatch):
    (tmp_path / "own_cite.py").write_text("def net(): ...\n")
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.from_tables(TABLES | {"model": "own_cite:net"})
    assert "lecun1998gradient" not in keys(recipe)


def test_the_base_inside_a_relaxation_is_cited_too():
    recipe = Recipe.from_tables(TABLES | {"optimizer": {"name": "lookahead", "base": "adamw"}})
    assert {"zhang2019lookahead", "loshchilov2019decoupled"} <= keys(recipe)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sam", "foret2021sharpness"),
        ("Entropy-SGD", "chaudhari2017entropy"),
        ("adamw", "loshchilov2019decoupled"),
        ("newtoncg", "steihaug1983conjugate"),  # no recipe can run it
        ("lenet", "lecun1998gradient"),
    ],
)
def test_a_name_alone_is_cited(name, key):
    assert any(f"{{{key}," in text for text in citations_of(name))


def test_a_name_of_nothing_has_no_citation():
    assert citations_of("nothing") == ()
