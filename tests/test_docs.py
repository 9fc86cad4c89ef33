"""Examples in the README and the docs run, and print what they say."""

import re
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

ROOT = Path(__file__).parent.parent
EXAMPLES = list(find_examples(str(ROOT / "README.md"), str(ROOT / "docs")))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_runs(example: CodeExample, eval_example: EvalExample, tmp_path, monkeypatch):
    if example.prefix_settings().get("test") == "skip":
        pytest.skip("shown for reading: needs what the reader has")
    monkeypatch.chdir(tmp_path)
    eval_example.run_print_check(example)


def test_start_has_two_commands_of_one_line():
    text = (ROOT / "README.md").read_text().split("## Start")[1].split("\n## ")[0]
    blocks = [part.split("```")[0].strip() for part in text.split("```sh\n")[1:]]
    assert len(blocks) == 2
    assert all(len(block.splitlines()) == 1 for block in blocks)
    assert "wellposed train" in blocks[0]
    assert "pytest" in blocks[1]


def test_every_page_is_in_the_menu_and_every_menu_entry_is_a_page():
    menu = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(menu) == sorted(pages)


def test_links_between_pages_lead_somewhere():
    broken = [
        (str(page), link)
        for page in (ROOT / "docs").rglob("*.md")
        for link in re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not broken
