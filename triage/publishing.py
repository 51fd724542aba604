"""Publishing: a person's update for the public, or a rule of status.yaml. What becomes public is written for it.

Nothing here reads an incident's title, notes or alerts: what the page shows is what these functions are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from triage.memory import PUBLICATION, THE_PUBLICATIONS
from triage.model import DAY, ENDED, Incident, Millis
from triage.public import Effects, Publication, Publications, PublicUpdate
from triage.rulebook import Rulebook
from triage.rulebook.problems import closest
from triage.scene import Scene
from triage.status import Standing, StatusUpdate

TITLE_MAX: Final = 200
TEXT_MAX: Final = 2_000
COMPONENTS_MAX: Final = 50
UPDATES_MAX: Final = 100
"""How many updates of one publication are kept; beyond, the oldest but the first goes."""
KEPT: Final = 500
"""How many publications are kept at most."""
KEPT_FOR: Final[Millis] = 100 * DAY
"""How long one that is over is kept; the page shows ninety days."""
OVER: Final = "This is resolved."
"""What is published when an incident ends and nobody has written a last update."""


def fault(rulebook: Rulebook, data: Mapping[str, str]) -> str:
    """Return why what is said of components and effects cannot be published, or ""."""
    names = _names(data)
    known = rulebook.status.components
    if len(names) > COMPONENTS_MAX:
        return f"an update is about {COMPONENTS_MAX} components at most"
    for name in names:
        if name not in known:
            hint = closest(name, known) or f"services.yaml has {', '.join(known) or 'none'}"
            return f"there is no component “{name[:100]}”; {hint}"
    effects = data.get("effects", "")
    if effects and effects not in [one.value for one in Effects]:
        return f"“{effects[:40]}” is not how a component suffers: there are {', '.join(Effects)}"
    return ""


def _names(data: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in data.get("components", "").split(",") if name.strip()]


def publish(scene: Scene, incident: Incident, made: StatusUpdate, data: Mapping[str, str]) -> None:
    """Put an update for the public on the status page. `fault` has seen to `data`."""
    known = of(scene, incident.key)
    components = tuple(dict.fromkeys(_names(data))) or (known.components if known else _component_of(scene, incident))
    effects = Effects(data.get("effects") or (known.effects if known else Effects.DEGRADED))
    update = PublicUpdate(scene.now, made.status, effects, made.text, made.impact, made.next_at)
    title = made.title if data.get("title", "").strip() or known is None else known.title
    put(scene, incident.key, known, title, components, update, known.rule if known else "")


def by_rule(scene: Scene, incident: Incident) -> None:
    """Publish an incident that a rule of status.yaml wants public, unless something of it is public already."""
    rules = scene.rulebook.status.publish
    components = _component_of(scene, incident) if rules else ()
    if not components or of(scene, incident.key) is not None:
        return
    rule = next((one for one in rules if one.holds(incident.severity, incident.service)), None)
    if rule is None:
        return
    title = rule.title.replace("{component}", components[0])[:TITLE_MAX]
    text = rule.text.replace("{component}", components[0])[:TEXT_MAX]
    update = PublicUpdate(scene.now, Standing.INVESTIGATING, Effects(rule.effects), text)
    put(scene, incident.key, None, title, components, update, rule.name)
    scene.line(incident, "published", f"on the status page by the rule “{rule.name}” ({rule.effects}): {text}")


def owes_last_update(scene: Scene, incident: Incident) -> bool:
    """Tell whether the status page does not say yet that an incident is resolved."""
    known = of(scene, incident.key)
    return known is not None and known.status is not Standing.RESOLVED


def resolved(scene: Scene, incident: Incident, text: str = "") -> None:
    """Let the status page say that it is over, in words that were written for it, or in ours."""
    known = of(scene, incident.key)
    if known is None or known.status is Standing.RESOLVED:
        return
    words = text.strip()[:TEXT_MAX] or OVER
    update = PublicUpdate(scene.now, Standing.RESOLVED, known.effects, words)
    put(scene, incident.key, known, known.title, known.components, update, known.rule)
    scene.line(incident, "published", f"on the status page (resolved): {words}")


def last_words(scene: Scene, incident: Incident, text: str) -> None:
    """Let the status page say that it is over in words that were written for it; "" says nothing."""
    known, words = of(scene, incident.key), text.strip()[:TEXT_MAX]
    if known is None or not words:
        return
    update = PublicUpdate(scene.now, Standing.RESOLVED, known.effects, words)
    put(scene, incident.key, known, known.title, known.components, update, known.rule)
    scene.line(incident, "published", f"on the status page (resolved): {words}")


def opened_again(scene: Scene, incident: Incident) -> None:
    """An incident opens again. Whether the status page says so is for a person, whom the timeline reminds."""
    known = of(scene, incident.key)
    if known is not None and known.status is Standing.RESOLVED and incident.phase not in ENDED:
        scene.line(incident, "not-published", "the status page still says resolved: send the public an update")


def of(scene: Scene, incident: str) -> Publication | None:
    """Return what is public of an incident, or None."""
    return cast("Publication | None", scene.draft.get((PUBLICATION, incident)))


def _component_of(scene: Scene, incident: Incident) -> tuple[str, ...]:
    service = scene.rulebook.services.get(incident.service)
    return (service.status_component,) if service is not None and service.status_component else ()


def put(
    scene: Scene,
    key: str,
    known: Publication | None,
    title: str,
    components: tuple[str, ...],
    update: PublicUpdate,
    rule: str,
) -> None:
    """Add an update to what is public of the incident of that key; `known` is what was so far, None: nothing."""
    updates = (*(known.updates if known is not None else ()), update)
    if len(updates) > UPDATES_MAX:
        updates = (updates[0], *updates[-UPDATES_MAX + 1 :])
    over_at = scene.now if update.status is Standing.RESOLVED else None
    if over_at is not None and known is not None and known.resolved_at is not None:
        over_at = known.resolved_at  # it was over before these words
    publication = Publication(
        title=title,
        components=components,
        updates=updates,
        published_at=known.published_at if known is not None else scene.now,
        resolved_at=over_at,
        rule=rule,
        address=known.address if known is not None else "",
    )
    scene.draft.put((PUBLICATION, key), publication)
    if known is None:
        _keep(scene, key)


def _keep(scene: Scene, key: str) -> None:
    """Note that there is one more, and forget those that are too many, or over for long."""
    book = cast("Publications | None", scene.draft.get(THE_PUBLICATIONS)) or Publications()
    keys = [*book.keys, key]
    for old in book.keys[:2]:  # the oldest: each new one makes room for itself and for one more
        known = of(scene, old)
        over = known is None or (known.resolved_at is not None and scene.now - known.resolved_at > KEPT_FOR)
        if over or len(keys) > KEPT:
            scene.draft.put((PUBLICATION, old), None)
            keys.remove(old)
    scene.draft.put(THE_PUBLICATIONS, Publications(tuple(keys)))
