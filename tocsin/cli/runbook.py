"""`tocsin runbook`: what to do about an incident, checked off step by step; and writing down what one has taught."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

from tocsin.cli.common import USAGE, Stop, with_settings
from tocsin.cli.verbs import OUTPUT, explained, plain, show_found
from tocsin.settings import CLIENT, SERVE, Settings

DOCUMENTS: Final = (("r", "runbook"), ("p", "procedure"))
"""Letter before a step's number → the document it stands in."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
LINES_MAX: Final = 200
NOTE_MAX: Final = 200
LABELS_MAX: Final = 20
_VOLATILE: Final = ("instance", "pod", "node", "host", "device", "mountpoint", "job", "namespace", "cluster")
"""Labels that another incident will have other values of: they become holes."""


@click.group()
def runbook() -> None:
    """Show what to do about an incident, check off its steps, write a new runbook.

    INCIDENT is its id, as `tocsin incidents` shows it.
    """


@runbook.command()
@click.argument("incident")
@OUTPUT
@with_settings(CLIENT)
def show(settings: Settings, incident: str, output: str) -> None:
    """Show the runbook, the procedure of the phase, and dashboards, with the alert's labels filled in."""
    show_found(settings, f"/api/v1/incidents/{incident}/guide", output, told)


def told(found: dict[str, Any]) -> list[str]:
    """Return a guide as lines for a terminal."""
    lines = [f"{one['title']}: {one['url']}" for one in found["dashboards"]]
    for letter, kind in reversed(DOCUMENTS):
        if found[kind] is not None:
            lines += ["", found[kind]["title"], "=" * min(len(found[kind]["title"]), 80)]
            lines += [line for section in found[kind]["sections"] for line in _section(section, letter)]
    if found["runbook"] is None:
        lines += ["", f"Runbook: {found['link']}" if found["link"] else "There is no runbook for this incident."]
    return lines


def _section(section: dict[str, Any], letter: str) -> list[str]:
    lines = ["", section["name"], "-" * min(len(section["name"]), 80)] if section["name"] else []
    for piece in section["pieces"]:
        step = piece["step"]
        if step is None:
            lines += ["", *piece["text"].splitlines(), ""]
            continue
        first, *more = step["text"].splitlines() or [""]
        done = f"  ({step['done_by']}, {step['done_at'][:16].replace('T', ' ')} UTC)" if step["done_by"] else ""
        lines.append(f"[{'x' if step['done_by'] else ' '}] {letter}{step['number']}  {first}{done}")
        lines += [f"      {line}".rstrip() for line in more]
    return lines


@runbook.command()
@click.argument("incident")
@click.argument("step")
@click.option("--undo", is_flag=True, help="It is open again.")
@click.option("-m", "--message", default="", help="What came of it; it goes into the timeline.")
@with_settings(CLIENT)
def done(settings: Settings, incident: str, step: str, undo: bool, message: str) -> None:
    """Check off a step. STEP is as `show` numbers it: r2 of the runbook, p1 of the procedure."""
    from tocsin.remote import Remote

    remote = Remote(settings)
    with explained():
        guide = remote.get(f"/api/v1/incidents/{incident}/guide").body
        known = {
            f"{letter}{piece['step']['number']}": piece["step"]["id"]
            for letter, kind in DOCUMENTS
            for section in (guide[kind] or {"sections": []})["sections"]
            for piece in section["pieces"]
            if piece["step"] is not None
        }
        if step not in known:
            raise Stop(f"There is no step {step}; `tocsin runbook show {incident}` lists them.", USAGE)
        body = {"step": known[step], "undo": undo, "text": message}
        answer = remote.post(f"/api/v1/incidents/{incident}/check", body).body
    click.echo(f"{incident}: {plain(str(answer['text']))}")


@runbook.command()
@click.argument("name")
@click.option("--from", "incident", default="", metavar="INCIDENT", help="Begin with what this incident has taught.")
@with_settings(SERVE, CLIENT)
def new(settings: Settings, name: str, incident: str) -> None:
    """Write runbooks/NAME.md into the rules folder (--rules.path), with every section a runbook has."""
    from tocsin.remote import Remote

    if not NAME.fullmatch(name):
        raise Stop(f"{name!r} can't be the name of a runbook: use letters, digits, _ and -", USAGE)
    path: Path = settings.rules_path / "runbooks" / f"{name}.md"
    if path.exists():
        raise Stop(f"{path} is there already; edit it, or choose another name.", USAGE)
    found: dict[str, Any] | None = None
    if incident:
        remote = Remote(settings)
        with explained():
            found = remote.get(f"/api/v1/incidents/{incident}").body
            found["lines"] = remote.get(f"/api/v1/incidents/{incident}/timeline", {"limit": str(LINES_MAX)}).body[
                "items"
            ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(draft(name, found), "utf-8")
    except OSError as error:
        raise Stop(f"{path} cannot be written: {error.strerror}.") from None
    click.echo(
        f"{path}\nName it in a rule or a service: runbook: runbooks/{name}.md; `tocsin check` says what is missing."
    )


def draft(name: str, incident: dict[str, Any] | None) -> str:
    """Return the text of a new runbook; what an incident taught is in it, as far as it can be told."""
    title = name.replace("-", " ").replace("_", " ").capitalize()
    if incident is None:
        symptoms, looked, tried = ["What does whoever is paged see? What do users feel?"], [], []
    else:
        alerts = incident["alert_page"]["items"]
        labels = [*alerts[0]["labels"].items()][:LABELS_MAX] if alerts else []
        symptoms = [f"Seen in incident {incident['id']} ({incident['opened_at'][:10]}): {_line(incident['title'])}"]
        symptoms += [f"- `{_line(key)}` is `{_hole(key, value)}`" for key, value in labels]
        looked = [line["text"] for line in incident["lines"] if line["what"] in ("finding", "hypothesis")]
        tried = [line["text"] for line in incident["lines"] if line["what"] in ("note", "checked")]
    steps = [f"- [ ] {_line(text)}" for text in reversed(looked)] or ["- [ ] Look at …, on {{ instance }}"]
    mends = [f"- [ ] {_line(text)}" for text in reversed(tried)] or [
        "- [ ] The quickest safe way to make it stop hurting"
    ]
    end = ["- [ ] Find the cause", "- [ ] Watch for an hour: does it stay away?"]
    parts = (("Symptoms", symptoms), ("Investigation", steps), ("Mitigation", mends), ("Resolution", end))
    body = "\n\n".join(f"## {section}\n\n" + "\n".join(lines) for section, lines in parts)
    return f"# {title}\n\n{body}\n"


def _hole(key: str, value: str) -> str:
    return f"{{{{ {key} }}}}" if key in _VOLATILE else _line(value).replace("`", "'")


def _line(text: str) -> str:
    """Return words of an incident as one line of Markdown that is only words."""
    words = " ".join(plain(text).replace("\N{REPLACEMENT CHARACTER}", " ").split())[:NOTE_MAX]
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", words)
