import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from wellposed.recipe._origin import Origin, dotted, locate

TEXT = '''# comment = 1
seed = 3   # [not] a table
[data]
name = "digits"
"quoted key" = [1, # in a list
  2, "]"]
text = """
[no]
table = 1
"""
raw = \'\'\'
x = "\'\'\'
touching = """a""""
after = 1
[[schedule]]
name = "cosine"
[[schedule]]
name = "linear"
[schedule.inner]
deep = {a = {b = 1}, c = 2}
[compare.methods.sgd]
optimizer.lr = 0.1
'''


def test_each_key_has_its_line():
    origin = locate(TEXT, "r.toml")
    lines = {dotted(path): int(at.rpartition(":")[2]) for path, at in origin.places.items()}
    assert lines == {
        "seed": 2,
        "data": 3,
        "data.name": 4,
        "data.quoted key": 5,
        "data.text": 7,
        "data.raw": 11,
        "data.touching": 13,
        "data.after": 14,
        "schedule": 15,
        "schedule.0": 15,
        "schedule.0.name": 16,
        "schedule.1": 17,
        "schedule.1.name": 18,
        "schedule.1.inner": 19,
        "schedule.1.inner.deep": 20,
        "compare.methods.sgd": 21,
        "compare.methods.sgd.optimizer": 22,
        "compare.methods.sgd.optimizer.lr": 22,
    }


def test_an_unknown_place_is_that_of_a_key_inside_or_of_the_table_around():
    origin = locate(TEXT, "r.toml")
    assert origin.at(("compare", "methods")) == "r.toml:21"
    assert origin.at(("schedule", 1, "inner", "deep", "a")) == "r.toml:20"
    assert origin.at(("optimizer",)) == "r.toml"
    assert Origin().at(("seed",)) == "recipe"


def test_a_missing_key_is_where_the_keys_beside_it_are():
    origin = locate("[a]\n[b]\nc = 1", "r.toml").replaced({("a", "new", "x"): "--set a.new.x=1"})
    assert origin.at(("a", "new", "name")) == "--set a.new.x=1"


def test_a_replaced_place_forgets_the_keys_inside():
    origin = locate("[a]\nb = 1\n[c]\nd = 1", "r").replaced({("a",): "--set a=2"})
    assert origin.at(("a", "b")) == "--set a=2"
    assert origin.at(("c", "d")) == "r:4"


def test_origins_never_make_recipes_differ():
    assert Origin("a", {("seed",): "a:1"}) == Origin()


VALUES = st.recursive(
    st.booleans() | st.integers(0, 9) | st.text("a\"'\\\n#[]{}=, ", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=5,
)
TABLES = st.dictionaries(
    st.sampled_from("abc"),
    VALUES | st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), min_size=1, max_size=3),
)


@given(TABLES, st.booleans())
def test_whatever_the_values_each_key_is_found_on_a_line_that_has_it(tables, multiline):
    text = tomli_w.dumps(tables, multiline_strings=multiline)
    lines = text.split("\n")
    origin = locate(text, "r")
    for key in tables:
        line = lines[int(origin.at((key,)).partition(":")[2]) - 1]
        assert line.startswith((f"{key} =", f"[{key}", f"[[{key}"))
