import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from wellposed.errors import RunFolderError
from wellposed.report import Frame, Line, line_chart, render, render_audit, standalone
from wellposed.report._palette import TONES
from wellposed.runs import RunFolder, Status

RUN_SECTIONS = [
    "result", "curves", "confusion", "mistakes", "first-layer", "audit", "cost", "data",
    "repeat",
]  # fmt: skip
RACE_SECTIONS = ["result", "methods", "pairs", "curves", "closer", "each", "data", "repeat"]
HOSTILE = (
    "</title></style></pre><script>alert('x')</script><img src=x onerror=alert(1)>\"'&\x00\x1b"
)
FOREIGN = "http://example.org/spy.png"


class Outline(HTMLParser):
    """Tags, attributes and headings of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.headings, self._heading = set(), [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if re.fullmatch("h[1-6]", tag):
            self._heading = tag

    def handle_data(self, data):
        if self._heading:
            self.headings.append((self._heading, data))
            self._heading = None


def hostile_run(make_run, path):
    """A run folder in which every text is hostile."""
    names = [HOSTILE + str(k) for k in range(10)]
    folder = make_run(path, classes=names, steps=100)
    folder.log.append(
        {
            "event": "train",
            "step": 101,
            "loss": 1.0,
            "optimizer": {HOSTILE: 1.0, "x": FOREIGN},
        }
    )
    folder.log.append({"event": "evaluation", "step": 101, "split": HOSTILE, "error": 0.5})
    folder.write_json("provenance.json", {"command": HOSTILE, HOSTILE: {HOSTILE: FOREIGN}})
    folder.write_json("choices.json", {HOSTILE: [HOSTILE]})
    results = json.loads((folder.path / "results.json").read_text())
    results["splits"][HOSTILE] = results["splits"]["test"]
    results["weights"] = HOSTILE
    results["mistakes"][0]["picture"] = FOREIGN
    results["first_layer"].append({"picture": HOSTILE})
    folder.write_json("results.json", results)
    info = json.loads((folder.path / "run.json").read_text())
    info |= {"created": HOSTILE, "wellposed": HOSTILE, "message": HOSTILE}
    folder.write_json("run.json", info)
    return folder


def hostile_race(make_race, path):
    """A race folder in which every text is hostile."""
    race = make_race(path, methods={"sgd": 0.03, "adamw": 0.04}, steps=40)
    comparison = json.loads((race.path / "comparison.json").read_text())
    for method in comparison["methods"]:
        method |= {"name": HOSTILE + method["name"], "optimizer": HOSTILE}
    comparison["pairs"][0] |= {"a": HOSTILE, "b": HOSTILE, "statement": HOSTILE}
    race.write_json("comparison.json", comparison | {"metric": HOSTILE, "statement": HOSTILE})
    return race


def test_run_page_has_all_sections(run_folder):
    path = render(run_folder)
    assert path == run_folder.path / "report.html"
    text = path.read_text()
    with_regime = [*RUN_SECTIONS[:1], "regime", *RUN_SECTIONS[1:]]  # it was a relaxation
    assert re.findall(r'<section id="([\w-]+)">', text) == with_regime
    assert '<a href="#regime">' in text
    assert "the pull has acted without deciding" in text
    assert text.count("<svg") >= 6
    assert "wellposed train digits.toml --seed 0" in text
    assert "name = &#34;lenet&#34;" in text
    assert "3f3f3f" in text


def test_race_page_has_all_sections(race_folder):
    text = render(race_folder.path).read_text()
    assert re.findall(r'<section id="([\w-]+)">', text) == RACE_SECTIONS
    assert "No winner: with 3 seeds" in text
    assert "A closer look: entropysgd, seed 0" in text
    assert text.count("<details>") == 3 + 2


def test_path_may_be_text(run_folder):
    assert render(str(run_folder.path)).exists()


def test_page_is_the_same_every_time(run_folder):
    assert render(run_folder).read_bytes() == render(run_folder).read_bytes()


@pytest.mark.parametrize("kind", ["run", "race"])
def test_page_needs_nothing_else(kind, run_folder, race_folder):
    text = render({"run": run_folder, "race": race_folder}[kind]).read_text()
    page = Outline(text)
    assert not page.tags & {"script", "iframe", "object", "embed", "link-stylesheet", "form"}
    outside = [v for k, v in page.attributes if k in {"src", "href"} and v[:1] != "#"]
    assert all(value.startswith("data:") for value in outside)
    assert "url(" not in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize("kind", ["run", "race"])
def test_headings_leave_out_no_level(kind, run_folder, race_folder):
    page = Outline(render({"run": run_folder, "race": race_folder}[kind]).read_text())
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert ("lang", "en") in page.attributes


@pytest.mark.parametrize("kind", ["run", "race"])
def test_hostile_text_stays_text(kind, make_run, make_race, tmp_path):
    if kind == "run":
        folder = hostile_run(make_run, tmp_path / "run")
    else:
        folder = hostile_race(make_race, tmp_path / "race")
    text = render(folder).read_text()
    page = Outline(text)
    assert "script" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert "alert(&#39;x&#39;)" in text
    assert "\x00" not in text
    assert "\x1b" not in text
    assert not [v for k, v in page.attributes if k == "src" and not v.startswith("data:")]


def test_unpaired_surrogates_and_turned_text_do_no_harm(make_run, tmp_path):
    names = ["\ud800", "\u202eevil", *map(str, range(8))]
    text = render(make_run(tmp_path / "run", classes=names, steps=40)).read_text()
    assert "\ufffdevil" in text
    assert "\u202e" not in text


@pytest.mark.parametrize("status", list(Status), ids=str)
@pytest.mark.parametrize("kind", ["run", "race"])
def test_folder_with_nothing_in_it_yet_has_a_page(tmp_path, status, kind):
    folder = RunFolder.create(tmp_path / "run", kind=kind, recipe="", provenance={})
    folder.set_status(status)
    text = render(folder).read_text()
    assert "What is missing" in text
    assert re.findall(r'<section id="([\w-]+)">', text) == (
        RUN_SECTIONS if kind == "run" else RACE_SECTIONS
    )


@pytest.mark.parametrize(
    "name",
    ["recipe.toml", "provenance.json", "data.json", "choices.json", "log.jsonl", "clock.jsonl",
     "results.json"],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["gone", "garbage", "list", "link"])
def test_any_file_may_be_missing_or_damaged(make_run, tmp_path, name, damage):
    folder = make_run(tmp_path / "run", steps=40)
    path = folder.path / name
    path.unlink()
    if damage == "garbage":
        path.write_bytes(b"\x00\xff{garbage\n")
    elif damage == "list":
        path.write_text('[1, [2, "3"]]\n')
    elif damage == "link":
        path.symlink_to("/dev/zero")
    text = render(folder).read_text()
    silent = {("choices.json", d) for d in ("gone", "garbage", "list", "link")}
    if (name, damage) not in silent | {("clock.jsonl", "gone")}:
        assert "What is missing" in text


def test_large_run_stays_below_two_megabytes(make_run, tmp_path, make_png):
    rng_rows = [[(31 * i * j + 17 * i) % 251 for j in range(160)] for i in range(160)]
    folder = make_run(tmp_path / "run", classes=["name " * 30 + str(k) for k in range(200)])
    picture = make_png([[(v * (k + 3)) % 256 for k, v in enumerate(row)] for row in rng_rows])
    results = json.loads((folder.path / "results.json").read_text())
    folder.write("pictures/big.png", picture)
    results["mistakes"] = [results["mistakes"][0] | {"picture": "pictures/big.png"}] * 500
    results["first_layer"] = [{"picture": "pictures/big.png"}] * 500
    folder.write_json("results.json", results)
    lines = [
        json.dumps({"event": "train", "step": k, "loss": k % 97, "objective": k % 89, "lr": 1 / k})
        for k in range(1, 9_001)
    ]
    folder.log.path.write_text("\n".join(lines) + "\n")
    (folder.path / "recipe.toml").write_text("")
    assert render(folder).stat().st_size < 2_000_000


def test_large_race_stays_below_two_megabytes(make_race, tmp_path):
    methods = {f"a method with a rather long name {k}": 0.03 for k in range(10)}
    race = make_race(tmp_path / "race", methods=methods, seeds=range(4), steps=400)
    assert render(race).stat().st_size < 2_000_000


def test_what_is_no_run_folder_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        render(tmp_path)
    assert not list(tmp_path.iterdir())


def test_needs_no_torch(run_folder, race_folder):
    code = (
        "import sys; from pathlib import Path; from wellposed.report import render\n"
        "for name in sys.argv[1:]: render(Path(name))\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run(
        [sys.executable, "-c", code, run_folder.path, race_folder.path], check=True, env=os.environ
    )


SCREENS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["run", "race", "hostile run", "hostile race", "empty run"])
def test_in_the_browser(browser, kind, request, make_run, make_race, tmp_path):
    folder = {
        "run": lambda: request.getfixturevalue("run_folder"),
        "race": lambda: request.getfixturevalue("race_folder"),
        "hostile run": lambda: hostile_run(make_run, tmp_path / "run"),
        "hostile race": lambda: hostile_race(make_race, tmp_path / "race"),
        "empty run": lambda: RunFolder.create(
            tmp_path / "run", kind="run", recipe="", provenance={}
        ),
    }[kind]()
    path = render(folder)
    for width, scheme in SCREENS:
        browser.open(path, width, scheme)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.complaints == []
        assert [u for u in browser.requests if not u.startswith(("file:", "data:"))] == []
        sections = browser.evaluate(
            "[...document.querySelectorAll('main > section')].map(s => s.id)"
        )
        wanted = RACE_SECTIONS if "race" in kind else RUN_SECTIONS
        assert [name for name in sections if name != "regime"] == wanted
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.evaluate(overflow) == 0
        assert browser.evaluate("document.scripts.length") == 0
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert browser.evaluate(broken) == 0


def test_an_audit_has_a_page_of_its_own(audit_folder):
    path = render(audit_folder)
    assert path == audit_folder.path / "audit.html"
    text = path.read_text()
    sections = re.findall(r'<section id="([\w-]+)">', text)
    assert sections == ["subject", "summary", "findings", "passed"]
    assert text.count('<details><summary><span class="verdict pass">') == 1
    assert not (audit_folder.path / "report.html").exists()
    page = Outline(text)
    assert not page.tags & {"script", "iframe", "object", "embed", "form"}
    outside = [v for k, v in page.attributes if k in {"src", "href"} and v[:1] != "#"]
    assert all(value.startswith("data:") for value in outside)
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    anchors = [v for k, v in page.attributes if k == "id"]
    assert len(anchors) == len(set(anchors))
    links = [v[1:] for k, v in page.attributes if k == "href" and v[:1] == "#"]
    assert set(links) <= set(anchors)


def test_a_run_that_was_audited_has_both_pages(make_run, make_audit, tmp_path):
    folder = make_run(tmp_path / "run", steps=40)
    assert "Not audited yet: <code>wellposed audit" in render(folder).read_text()
    make_audit(folder)
    text = render(folder).read_text()
    assert '<a href="audit.html">' in text
    assert "The largest eigenvalue is beyond 2/lr." in text
    page = (folder.path / "audit.html").read_text()
    assert '<a href="report.html">' in page
    assert f"wellposed audit {folder.path}" in page
    assert render_audit(str(folder.path)).read_text() == page


def test_hostile_findings_stay_text(audit_folder):
    value = audit_folder.read_json("findings.json")

    def poison(node):
        if isinstance(node, dict):
            return {
                key if key in KEYS else key + HOSTILE: item if key in KEPT else poison(item)
                for key, item in node.items()
            }
        if isinstance(node, list):
            return [poison(item) for item in node]
        return HOSTILE + node if isinstance(node, str) and node not in {"nan", "inf"} else node

    def keys(node):
        if isinstance(node, dict):
            return set(node).union(*map(keys, node.values()))
        return set().union(*map(keys, node)) if isinstance(node, list) else set()

    KEYS = keys(value) - {"examples", "ritz"}
    KEPT = {"verdict", "kind", "bad", "axis", "picture"}
    value = poison(value)
    value["findings"][1]["figures"][5]["rows"][0][0]["picture"] = FOREIGN
    audit_folder.write_json("findings.json", value)
    text = render(audit_folder).read_text()
    page = Outline(text)
    assert "script" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert text.count("alert(&#39;x&#39;)") > 60
    assert not re.search("[\x00\x1b]", text)
    assert not [v for k, v in page.attributes if k == "src" and not v.startswith("data:")]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_an_audit_in_a_browser(browser, audit_folder, scheme):
    path = render(audit_folder)
    for width in (1200, 360):
        browser.open(path, width, scheme)
        assert browser.complaints == []
        assert [r for r in browser.requests if not r.startswith("data:")] == [path.as_uri()]
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.evaluate(overflow) == 0
        boxes = "[...document.querySelectorAll('.scroll')]"
        named = f"{boxes}.every(b => b.tabIndex === 0 && b.getAttribute('aria-label'))"
        assert browser.evaluate(named)
        assert browser.evaluate("[...document.images].every(i => i.alt && i.naturalWidth)")
        figures = "[...document.querySelectorAll('svg[role=img]')]"
        assert browser.evaluate(f"{figures}.every(f => f.querySelector('title').textContent)")
        rows = "[...document.querySelectorAll('.summary tr')].every(r => r.role === 'row')"
        assert browser.evaluate(rows)
    browser.evaluate("location.hash = document.querySelector('#passed .finding').id")
    assert browser.evaluate("document.querySelector('#passed details').open")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("scheme", "media", "paper"),
    [
        ("light", "", "rgb(252, 252, 250)"),
        ("dark", "", "rgb(21, 23, 26)"),
        ("dark", "print", "rgb(252, 252, 250)"),
    ],
    ids=["light", "dark", "print"],
)
def test_paper_follows_the_reader(browser, run_folder, scheme, media, paper):
    browser.open(render(run_folder), 1280, scheme, media)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == paper


@pytest.mark.browser
def test_every_cell_of_the_confusion_matrix_can_be_read(browser, run_folder):
    contrast = """
    (() => {
      const canvas = document.createElement('canvas').getContext('2d');
      const light = color => {
        canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const cell = document.querySelector('.confusion td');
      return [...'012345'].flatMap(k => ['hit-', 'miss-'].map(kind => {
        cell.className = kind + k;
        const style = getComputedStyle(cell);
        const [a, b] = [light(style.color), light(style.backgroundColor)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      }));
    })()"""
    for scheme in ("light", "dark"):
        browser.open(render(run_folder), 1280, scheme)
        assert min(browser.evaluate(contrast)) >= 4.5


@pytest.mark.browser
def test_wide_and_narrow_figures_take_turns(browser, race_folder):
    shown = "[...document.querySelectorAll('.wide, .narrow')].filter(e => e.offsetHeight)"
    for width, kind in ((1280, "wide"), (360, "narrow")):
        browser.open(render(race_folder), width)
        assert browser.evaluate(f"[...new Set({shown}.map(e => e.className))]") == [kind]


@pytest.mark.browser
def test_tables_can_be_reached_and_read_without_a_mouse(browser, race_folder):
    browser.open(render(race_folder), 360)
    boxes = (
        "[...document.querySelectorAll('.scroll')]"
        ".every(b => b.tabIndex === 0 && b.getAttribute('aria-label'))"
    )
    assert browser.evaluate(boxes)
    assert browser.evaluate("[...document.querySelectorAll('th')].every(h => h.scope)")
    assert browser.evaluate("[...document.images].every(i => i.alt)")
    figures = "[...document.querySelectorAll('svg[role=img]')]"
    assert browser.evaluate(f"{figures}.every(f => f.querySelector('title').textContent)")


def test_a_figure_of_its_own_brings_its_colors_and_its_name_space():
    figure = line_chart(Frame("a <b>", "d"), [Line("one", [0, 1], [1.0, 2.0])])
    text = standalone(figure)
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{*}title").text == "a <b>"
    style = root.find("{*}style").text
    assert f"--tone-0: {TONES[0].light};" in style
    assert f"--tone-0: {TONES[0].dark};" in style
    assert "svg .line.tone-0" in style
    assert len(root.findall(".//{*}path")) == str(figure).count("<path") > 0
