"""Subscribing to status updates at run time, and ending that.

A person of oncall.yaml is told by their own contact methods. Others are told by what holds no secret: a mail address,
which the operators' relay takes mail for, or a place that updates.yaml names. So the journal learns no secret, and
nobody can make Tocsin send what it knows to an address of their own. Who may subscribe whom, the desk sees to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import quote

from triage.memory import THE_SUBSCRIPTIONS
from triage.model import Answer, Severity, SubscriptionAsked, key_of
from triage.responding import DONE, REFUSED
from triage.rulebook import Rulebook
from triage.rulebook.problems import closest
from triage.rulebook.updates import Subscriber
from triage.scene import Scene
from triage.status import Audience
from triage.subscription import Subscription, Subscriptions

KEPT: Final = 500
"""How many subscriptions there can be."""
EACH_MAX: Final = 20
"""How many one person or stakeholder can have."""
CONTACTS_MAX: Final = 5
SERVICES_MAX: Final = 50
NAME_MAX: Final = 100
ID_LENGTH: Final = 10
MAIL: Final = "mailto:"
PLACE: Final = "place:"
AUDIENCES: Final = (Audience.COMPANY, Audience.PUBLIC)
"""Whom updates can be for that one can subscribe to; what responders are told is told to who responds."""
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_ADDRESS_MAX: Final = 254


def of(scene: Scene) -> tuple[Subscription, ...]:
    """Return all subscriptions, oldest first."""
    found = cast("Subscriptions | None", scene.draft.get(THE_SUBSCRIPTIONS))
    return found.items if found is not None else ()


def obey(scene: Scene, asked: SubscriptionAsked) -> Answer:
    """Subscribe somebody, or end a subscription."""
    known = of(scene)
    if asked.end:
        rest = tuple(one for one in known if one.id != asked.end)
        if len(rest) == len(known):
            return Answer(REFUSED, f"there is no subscription {asked.end[:40]}")
        scene.draft.put(THE_SUBSCRIPTIONS, Subscriptions(rest))
        return Answer(DONE, f"subscription {asked.end} has ended")
    if said := fault(scene.rulebook, asked):
        return Answer(REFUSED, said)
    made = Subscription(
        id=key_of("subscription", scene.entry)[:ID_LENGTH],
        name=asked.name,
        audience=Audience(asked.audience),
        services=tuple(sorted(set(asked.services))),
        severities=tuple(sorted({Severity[one] for one in asked.severities})),
        contact=tuple(dict.fromkeys(asked.contact)),
        by=asked.by,
        at=scene.now,
    )
    same = next((one for one in known if _means(one) == _means(made)), None)
    if same is not None:
        return Answer(DONE, f"{words(same)} already: subscription {same.id}")
    if len(known) >= KEPT or sum(one.name == made.name for one in known) >= EACH_MAX:
        return Answer(REFUSED, f"there are {KEPT} subscriptions at most, {EACH_MAX} of one name: end some")
    scene.draft.put(THE_SUBSCRIPTIONS, Subscriptions((*known, made)))
    return Answer(DONE, f"{words(made)}: subscription {made.id}")


def _means(one: Subscription) -> tuple[object, ...]:
    return one.name, one.audience, one.services, one.severities, one.contact


def words(one: Subscription) -> str:
    """Return who is told of what, as part of a sentence."""
    services = f" about {', '.join(one.services)}" if one.services else ""
    severities = f" of {', '.join(map(str, one.severities))}" if one.severities else ""
    return f"{one.name} is told of updates for the {one.audience}{services}{severities}"


def fault(rulebook: Rulebook, asked: SubscriptionAsked) -> str:
    """Return why somebody cannot be subscribed as it is asked, or ""."""
    if asked.audience not in [one.value for one in AUDIENCES]:
        return f"“{asked.audience[:40]}” is no audience to subscribe to: there are {', '.join(AUDIENCES)}"
    if odd := [one for one in asked.severities if one not in Severity.__members__]:
        return f"“{odd[0][:40]}” is no severity: there are {', '.join(Severity.__members__)}"
    if len(asked.services) > SERVICES_MAX:
        return f"a subscription names {SERVICES_MAX} services at most; leave them out for all"
    for service in asked.services:
        if service not in rulebook.services:
            hint = closest(service, rulebook.services) or "services.yaml has them"
            return f"there is no service “{service[:100]}”; {hint}"
    return _stranger(rulebook, asked) if asked.contact else _nobody(rulebook, asked.name)


def _nobody(rulebook: Rulebook, name: str) -> str:
    person = rulebook.people.get(name)
    if person is None:
        return f"“{name[:100]}” is no person of oncall.yaml; an admin subscribes others with a contact"
    return "" if person.methods else f"{name} has no contact method in oncall.yaml"


def _stranger(rulebook: Rulebook, asked: SubscriptionAsked) -> str:
    """Return why this is no stakeholder with contacts, or ""."""
    rules = rulebook.updates
    if not asked.name or len(asked.name) > NAME_MAX:
        return f"a stakeholder has a name of up to {NAME_MAX} characters"
    if asked.name in rulebook.people or asked.name in [one.name for one in rules.subscribers]:
        return f"“{asked.name}” has contact methods in the rules already: choose another name, or give no contact"
    if len(asked.contact) > CONTACTS_MAX:
        return f"a subscription has {CONTACTS_MAX} contacts at most"
    for contact in asked.contact:
        if said := _contact_fault(rulebook, contact):
            return said
    return ""


def _contact_fault(rulebook: Rulebook, contact: str) -> str:
    rules = rulebook.updates
    if contact.startswith(PLACE):
        name = contact.removeprefix(PLACE)
        hint = closest(name, rules.places) or f"updates.yaml has {', '.join(rules.places) or 'none'} under places"
        return "" if name in rules.places else f"there is no place “{name[:100]}”; {hint}"
    address = contact.removeprefix(MAIL)
    if address == contact:
        return (
            "a contact is mailto:ADDRESS or place:NAME; what else there is (channels, webhooks) goes into updates.yaml "
            "under places, where its secret is a ${NAME}"
        )
    if len(address) > _ADDRESS_MAX or not _ADDRESS.fullmatch(address):
        return f"“{address[:100]}” is no mail address"
    return "" if rules.mail else "there is no mail relay: put one into updates.yaml as mail"


def listening(scene: Scene) -> Iterator[Subscriber]:
    """Yield who has subscribed and can be told today, with the contact methods by which they are."""
    for one in of(scene):
        methods = _methods(scene.rulebook, one)
        if methods:
            why = "" if one.contact else f"you have subscribed; `tocsin status unsubscribe {one.id}` ends it"
            yield Subscriber(one.name, methods, one.audience, one.services, one.severities, why)


def _methods(rulebook: Rulebook, one: Subscription) -> tuple[str, ...]:
    """Return the contact methods of a subscription by the rules in force; none when its person or place is gone."""
    if not one.contact:
        person = rulebook.people.get(one.name)
        return tuple(person.methods[at] for at in person.low or (0,)) if person is not None and person.methods else ()
    found: list[str] = []
    for contact in one.contact:
        if contact.startswith(PLACE):
            found += rulebook.updates.places.get(contact.removeprefix(PLACE), ())
        elif rulebook.updates.mail:
            found.append(_mail(rulebook.updates.mail, contact.removeprefix(MAIL)))
    return tuple(found)


def _mail(relay: str, address: str) -> str:
    return f"{relay}{'&' if '?' in relay else '?'}to={quote(address, safe='@')}"
