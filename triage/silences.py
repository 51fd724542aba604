"""Silences at run time: asked for, changed, ended by hand or by time, followed to the end of what they mean.

A silence that starts needs no look at what it means: whether an incident is silenced is asked when a page is due. One
that ends or changes has everything that it held back decided again at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from triage import quiet, telling
from triage.memory import SILENCE, THE_SILENCES
from triage.model import DAY, MINUTE, Answer, Millis, SilenceAsked
from triage.rulebook.durations import show_duration
from triage.rulebook.matcher import MatcherError
from triage.rulebook.quiet import SETS_MAX, set_fault
from triage.scene import Scene
from triage.silence import Silence, Silences, Words

DONE: Final = "done"
REFUSED: Final = "refused"
COUNT_MAX: Final = 500
"""How many run-time silences may stand at once."""
LENGTH_MAX: Final[Millis] = 366 * DAY
KEPT: Final[Millis] = 5 * DAY
"""How long a silence that ended can still be looked at; Alertmanager's default."""
WARN: Final[Millis] = 15 * MINUTE
"""How long before its end the author hears of it; not for silences shorter than twice that."""
UNDER_MAX: Final = 1_000
"""How many alerts a silence follows to their end."""
KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z")
TEXT_MAX: Final = 2_000

SILENCER: Final = "silencer"
"""What `via` says of a token that may silence and nothing else."""
_WORDS: Final = msgspec.msgpack.Decoder(Words)
_ENCODER: Final = msgspec.msgpack.Encoder()


def asked(key: str, words: Words, by: str, via: str, firing: tuple[str, ...] = (), request: str = "") -> SilenceAsked:
    """Return the journal's entry that asks for a silence."""
    return SilenceAsked(key, by, via, _ENCODER.encode(words), firing, request)


def fault_of(words: Words, now: Millis) -> str:
    """Return why a silence cannot be, as a sentence for whoever asks for it, or ""."""
    if not words.sets or len(words.sets) > SETS_MAX:
        return f"a silence has one to {SETS_MAX} sets of matchers"
    try:
        fault = next((fault for texts in words.sets if (fault := set_fault(texts))), "")
    except MatcherError as error:
        return f"{error.message}{f' ({error.hint})' if error.hint else ''}"
    if fault:
        return fault
    if words.ends_at is None and not words.after_resolve:
        return "a silence needs an end: a time, a duration, or so long after its alerts resolved"
    if words.ends_at is not None and words.ends_at <= max(now, words.starts_at or 0):
        return "the silence ends before it starts; check its times and their offsets"
    if words.ends_at is not None and words.ends_at - (words.starts_at or now) > LENGTH_MAX:
        return "a silence lasts a year at most; if it is for good, write a rule or a mute"
    if len(words.comment) > TEXT_MAX or sum(map(len, (*words.annotations, *words.annotations.values()))) > TEXT_MAX:
        return f"comment and annotations have {TEXT_MAX} characters at most"
    return ""


def obey(scene: Scene, body: SilenceAsked) -> Answer:
    """Put a silence, or end one, and say what became of it. To ask for the same again changes nothing."""
    known = cast("Silence | None", scene.draft.get((SILENCE, body.key)))
    live = known is not None and known.ended_at is None
    if known is not None and live and body.via == SILENCER and known.words.by != body.by:
        return Answer(REFUSED, f"silence {body.key} is of {known.words.by}; this token may change its own only")
    if not body.words:
        return _expire(scene, body, known)
    if not KEY.match(body.key):
        return Answer(REFUSED, "a silence's key has letters, digits, dots, _, : and -, a hundred at most")
    words = _WORDS.decode(body.words)
    fault = fault_of(words, scene.now)
    if fault:
        return Answer(REFUSED, fault)
    if known is not None and live and known.words == words:
        return Answer(DONE, f"silence {body.key} stands already")
    if not live and len(quiet.index_of(scene).keys) >= COUNT_MAX:
        return Answer(REFUSED, f"{COUNT_MAX} silences stand already: end some, or put lasting ones into quiet.yaml")
    _put(scene, body, words, known if live else None)
    return Answer(DONE, f"silence {body.key} {'is changed' if live else 'stands'}{_until(scene, words)}")


def _put(scene: Scene, body: SilenceAsked, words: Words, known: Silence | None) -> None:
    under = tuple(dict.fromkeys(body.firing))[:UNDER_MAX] if words.after_resolve is not None else ()
    silence = Silence(
        words=words,
        via=body.via,
        made_at=known.made_at if known is not None else scene.now,
        changed_at=scene.now,
        ends_at=words.ends_at,
        under=under,
        hits=known.hits if known is not None else 0,
    )
    scene.draft.put((SILENCE, body.key), silence)
    index = quiet.index_of(scene)
    rest = tuple(key for key in index.following if key != body.key)
    following = (*rest, body.key) if words.after_resolve is not None else rest
    keys = index.keys if body.key in index.keys else (*index.keys, body.key)
    scene.draft.put(THE_SILENCES, Silences(keys, following))
    _arm(scene, body.key, silence)
    quiet.wake(scene, f"silence/{body.key}")


def _until(scene: Scene, words: Words) -> str:
    if words.ends_at is None:
        return f", until {show_duration(words.after_resolve or 0)} after the last of its alerts resolved"
    starts = max(scene.now, words.starts_at or 0)
    return f" for {show_duration((words.ends_at - starts) // 1_000 * 1_000)}"


def _expire(scene: Scene, body: SilenceAsked, known: Silence | None) -> Answer:
    if known is None:
        return Answer(REFUSED, f"there is no silence {body.key[:100]}; those of quiet.yaml are ended there")
    if known.ended_at is not None:
        return Answer(DONE, f"silence {body.key} has ended already")
    _end(scene, body.key, body.by)
    return Answer(DONE, f"silence {body.key} has ended; what it held back is decided again")


def _end(scene: Scene, key: str, by: str = "") -> None:
    silence: Silence = scene.draft.edit((SILENCE, key))
    silence.ended_at, silence.ended_by, silence.under = scene.now, by, ()
    index = quiet.index_of(scene)
    if key in index.keys:
        keys = tuple(one for one in index.keys if one != key)
        scene.draft.put(THE_SILENCES, Silences(keys, tuple(one for one in index.following if one != key)))
    scene.draft.timer(f"silence:{key}", scene.now + KEPT)
    quiet.wake(scene, f"silence/{key}")


def fire(scene: Scene, key: str) -> None:
    """The timer `silence:<key>` is due: warn the author, end the silence, or forget one that ended long ago."""
    known = cast("Silence | None", scene.draft.get((SILENCE, key)))
    if known is None:
        return
    if known.ended_at is not None:
        words = scene.rulebook.quiet.silences.get(key.removeprefix("file/")) if key.startswith("file/") else None
        if words == known.words:  # forgotten, it would hold again
            scene.draft.timer(f"silence:{key}", scene.now + KEPT)
        else:
            scene.draft.put((SILENCE, key), None)
        return
    if known.ends_at is not None and known.ends_at <= scene.now:
        _end(scene, key)
        return
    silence: Silence = scene.draft.edit((SILENCE, key))
    if known.ends_at is not None and known.ends_at - scene.now <= WARN and not known.warned:
        silence.warned = True
        _warn(scene, key, silence)
    _arm(scene, key, silence)


def _arm(scene: Scene, key: str, silence: Silence) -> None:
    """Set the timer for the warning, or for the end."""
    due = silence.ends_at
    if due is not None:
        length = due - max(silence.changed_at, silence.words.starts_at or 0)
        if not silence.warned and length >= 2 * WARN:
            due -= WARN
    scene.draft.timer(f"silence:{key}", due)


def _warn(scene: Scene, key: str, silence: Silence) -> None:
    waiting = quiet.waits(scene, f"silence/{key}")
    held = f"It holds back {waiting} alerts or incidents now, which are decided again then." if waiting else ""
    telling.tell_person(
        scene,
        silence.words.by,
        f"silence:{key}:{silence.ends_at}",
        f"Silence {key} ends in {show_duration(max(0, (silence.ends_at or 0) - scene.now) // 1_000 * 1_000)}",
        f"{silence.words.comment or 'No comment was given.'} {held or 'Nothing waits for its end.'} To prolong it, "
        f"ask for it again under the same key.",
    )


# --------------------------------------------------------------------------------------------------------------------
# Silences that end so long after what they mean resolved.


def heard(scene: Scene, labels: Mapping[str, str], fingerprint: str, fires: bool) -> None:
    """Let the silences that follow their alerts know that one fires, or no longer does."""
    for key, words, known in quiet.standing(scene):
        if words.after_resolve is None or not quiet.means(words, labels):
            continue
        if quiet.holds(words, known, scene.now) and (known is not None or fires):
            _follow(scene, key, words, fingerprint, fires)


def follows(scene: Scene) -> bool:
    """Tell whether any silence follows its alerts, so that repeats and ends must be looked at."""
    return bool(
        quiet.index_of(scene).following
        or any(words.after_resolve is not None for words in scene.rulebook.quiet.silences.values())
    )


def _follow(scene: Scene, key: str, words: Words, fingerprint: str, fires: bool) -> None:
    known = cast("Silence | None", scene.draft.get((SILENCE, key)))
    if known is None or known.words != words:
        scene.draft.put((SILENCE, key), Silence(words, "quiet.yaml", scene.now, scene.now, words.ends_at))
    elif (fingerprint in known.under) is fires:
        return
    silence: Silence = scene.draft.edit((SILENCE, key))
    if fires:
        silence.under = (*silence.under, fingerprint)[:UNDER_MAX]
        silence.ends_at = words.ends_at
    else:
        silence.under = tuple(one for one in silence.under if one != fingerprint)
        if not silence.under:
            silence.ends_at = min(words.ends_at or 1 << 62, scene.now + (words.after_resolve or 0))
    _arm(scene, key, silence)


def count(scene: Scene, owner: str) -> None:
    """Count an alert that began under a silence that is remembered, for those who ask what it was good for."""
    kind, _, key = owner.partition("/")
    if kind == "silence" and scene.draft.get((SILENCE, key)) is not None:
        silence: Silence = scene.draft.edit((SILENCE, key))
        silence.hits += 1


def rules_changed(scene: Scene) -> None:
    """Have what mutes and silences of the old rules hold back decided again by the new ones."""
    for name in scene.rulebook.quiet.mutes:
        quiet.wake(scene, f"mute/{name}")
    for name in scene.rulebook.quiet.silences:
        quiet.wake(scene, f"silence/{quiet.file_key(name)}")
