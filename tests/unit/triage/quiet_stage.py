"""A stage with a quiet.yaml and services that need each other, and short words for silences."""

from __future__ import annotations

from typing import cast

from tests.unit.triage.stage import FILES, Stage
from tests.unit.triage.test_decide_model import Watched
from triage import silences
from triage.memory import SILENCE
from triage.model import (
    MINUTE,
    Answer,
    Millis,
    Severity,
    SilenceAsked,
)
from triage.silence import Silence, Words

SERVICES = """
services:
  shop: {depends_on: [api]}
  api: {depends_on: [db]}
  db: {}
"""


def staged(quiet_yaml: str = "", **more: str) -> Watched:
    files = {**FILES, "quiet.yaml": quiet_yaml or "{}", "services.yaml": SERVICES}
    files |= {f"{name}.yaml": text for name, text in more.items()}
    return Watched(files=files)


def silence(
    stage: Stage,
    *matchers: str,
    key: str = "deploy",
    minutes: float | None = 60,
    starts: float | None = None,
    spared: tuple[Severity, ...] = (),
    after_resolve: Millis | None = None,
    by: str = "ana",
    firing: tuple[str, ...] = (),
) -> Answer:
    words = Words(
        sets=(matchers,),
        starts_at=None if starts is None else stage.now + int(starts * MINUTE),
        ends_at=None if minutes is None else stage.now + int(minutes * MINUTE),
        after_resolve=after_resolve,
        comment="a deploy",
        by=by,
        spared=spared,
    )
    return stage.answers[stage.append(silences.asked(key, words, by, "test", firing))]


def expire(stage: Stage, key: str = "deploy") -> Answer:
    return stage.answers[stage.append(SilenceAsked(key, "ana", "test"))]


def state_of(stage: Stage, key: str = "deploy") -> Silence:
    return cast("Silence", stage.memory.get((SILENCE, key)))
