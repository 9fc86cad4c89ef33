import tomllib

from wellposed.recipe import audit_recipe


def test_settings_come_back_without_those_that_are_none():
    text = audit_recipe({"subject": 'a.b:"c"', "lr": 0.1, "raw": True, "weights": None})
    assert tomllib.loads(text) == {"audit": {"subject": 'a.b:"c"', "lr": 0.1, "raw": True}}
