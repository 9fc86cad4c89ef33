from wellposed.recipe import Recipe, citations

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
