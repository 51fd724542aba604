"""What the documents say is so: links lead somewhere, rules compile, commands exist, the request is taken."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from ingest import adapters
from ingest.adapter import Request
from tests.upkeep.tracked import ROOT, tracked
from tocsin.cli import main
from triage.rulebook import compile_files
from triage.rulebook.types import Source

EXAMPLES = {"workers/channels/bell.py"}
"""Files that a document shows how to write."""
DOCUMENTS = [path for path in tracked("*.md") if "payloads" not in path.parts and "rules" not in path.parts]
README = (ROOT / "README.md").read_text("utf-8")


def slugs(text: str) -> set[str]:
    """The anchors that the headings of a document have."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in slugs(file.read_text("utf-8")), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_documents_exist(path: Path) -> None:
    rooms = "ingest|desk|triage|workers|tocsin|tests|docs|bench|deploy"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", path.read_text("utf-8")):
        if "<" not in name and name not in EXAMPLES:
            assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_every_room_of_the_house_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for room in ("ingest", "desk", "triage", "triage/store", "triage/rulebook", "workers", "tocsin", "rules"):
        assert f"`{room}/`" in text


def test_the_rules_in_the_readme_compile() -> None:
    blocks = re.findall(r"```yaml\n(# (\w+\.yaml).*?)```", README, re.DOTALL)
    files = {name: text for text, name in blocks}
    assert set(files) == {"severity.yaml", "oncall.yaml"}
    rulebook = compile_files(files)
    assert set(rulebook.policies) == {"default"}


def test_the_request_in_the_readme_is_read_and_is_a_p0_by_the_starting_rules() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, re.DOTALL)
    assert body is not None
    adapter = adapters.load("alertmanager")
    read = adapter.read(Request(Source("alertmanager", "alertmanager"), at=0, body=body[1].encode()))
    assert (len(read.events), read.rejected) == (1, [])
    rules = ROOT / "rules"
    files = {str(path.relative_to(rules)): path.read_text("utf-8") for path in rules.rglob("*.yaml")}
    assert compile_files(files).verdict("alertmanager", read.events[0]).severity.name == "P0"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(path: Path) -> None:
    context = click.Context(main)
    known = set(main.list_commands(context))
    for line in re.findall(r"`(?:\.venv/bin/)?tocsin ([a-z-]+)", path.read_text("utf-8")):
        assert line in known, f"{path.name} names `tocsin {line}`"


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        assert set(re.findall(r"`make ([a-z]+)", path.read_text("utf-8"))) <= targets, path


def test_yaml_in_documents_is_yaml() -> None:
    for path in DOCUMENTS:
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            yaml.safe_load(block)
