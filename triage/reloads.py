"""Rules loaded, or refused: which rulebook is in force is part of the memory, so that history replays."""

from __future__ import annotations

from typing import cast

from triage import paging
from triage.memory import THE_RULES
from triage.model import Rules, RulesLoaded
from triage.rulebook import RulesError, compile_files
from triage.scene import Scene


def reload(scene: Scene, body: RulesLoaded) -> None:
    """Put new rules into force, or note why they were refused. It never pages, closes or regroups anything."""
    errors = body.errors or _errors(body)
    known = cast("Rules | None", scene.draft.get(THE_RULES))
    if not errors:
        scene.draft.put(THE_RULES, Rules(digest=body.digest, files=body.files, loaded_at=scene.now))
        return
    kept = known or Rules(digest="", files={})
    scene.draft.put(THE_RULES, Rules(digest=kept.digest, files=kept.files, loaded_at=kept.loaded_at, refused=errors))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    paging.tell_operator(
        scene,
        f"rules:{body.digest}",
        "The changed rules are refused; the old ones stay in force",
        f"{errors[0]}{more} `tocsin check` shows all.",
    )


def _errors(body: RulesLoaded) -> list[str]:
    try:
        compile_files(body.files)
    except RulesError as refused:
        return [f"{one.path}:{one.line}:{one.column}: {one.message}" for one in refused.problems]
    return []
