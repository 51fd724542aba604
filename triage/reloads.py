"""Rules loaded, or refused: which rulebook is in force is part of the memory, so that history replays."""

from __future__ import annotations

from typing import cast

from triage import drills, heartbeats, importing, silences, telling
from triage.memory import THE_RULES
from triage.model import Rules, RulesLoaded
from triage.rulebook import EMPTY, Rulebook, RulesError, compile_files
from triage.scene import Scene


def reload(scene: Scene, body: RulesLoaded) -> None:
    """Put new rules into force, or note why they were refused. It never pages, closes or regroups anything."""
    rulebook, errors = (EMPTY, body.errors) if body.errors else _compiled(body)
    known = cast("Rules | None", scene.draft.get(THE_RULES))
    if not errors:
        scene.draft.put(THE_RULES, Rules(digest=body.digest, files=body.files, loaded_at=scene.now))
        heartbeats.rules_changed(scene, rulebook)
        silences.rules_changed(scene)
        importing.rules_changed(scene, rulebook)
        drills.rules_changed(scene, rulebook)
        return
    kept = known or Rules(digest="", files={})
    scene.draft.put(THE_RULES, Rules(digest=kept.digest, files=kept.files, loaded_at=kept.loaded_at, refused=errors))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    telling.tell_operator(
        scene,
        f"rules:{body.digest}",
        "The changed rules are refused; the old ones stay in force",
        f"{errors[0]}{more} `tocsin check` shows all.",
    )


def _compiled(body: RulesLoaded) -> tuple[Rulebook, list[str]]:
    try:
        return compile_files(body.files), []
    except RulesError as refused:
        return EMPTY, [f"{one.path}:{one.line}:{one.column}: {one.message}" for one in refused.problems]
