"""What a verdict holds besides the deciding rules: severity words, caps, groups, policies, runbooks, the catalogue."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, book, event, labelled
from triage.model import Event, Kind, Severity
from triage.rulebook import EMPTY, Rulebook, compile_files
from triage.rulebook.book import MEMO_MAX, _Memo
from triage.rulebook.types import Raise
from triage.rulebook.words import MEANING

NOTHING = book()


@pytest.mark.parametrize(
    ("one", "severity"),
    [
        (event("critical"), "P1"),
        (event(" CRITICAL "), "P1"),
        (event("page"), "P1"),
        (event("sev-1"), "P1"),
        (event("error"), "P2"),
        (event("High"), "P2"),
        (event("warning"), "P3"),
        (event("info"), "P4"),
        (event("P0"), "P0"),
        (event("P1"), "P1"),
        (event("p2"), "P2"),
        (event("P3"), "P3"),
        (event("P5"), "P4"),
        (event("none"), "P3"),
        (event("gibberish"), "P3"),
        (event("ok"), "P3"),
        (event(""), "P3"),
        (event("", severity="critical"), "P1"),
        (event("", priority="P2"), "P2"),
        (event("info", severity="critical"), "P4"),
        (event("", kind=Kind.REPORT), "P4"),
        (event("gibberish", kind=Kind.REPORT), "P4"),
        (event("high", kind=Kind.REPORT), "P2"),
    ],
)
def test_where_no_rule_speaks_the_word_decides(one: Event, severity: str) -> None:
    verdict = NOTHING.verdict("src", one)
    assert (verdict.severity.name, verdict.rule, verdict.rules) == (severity, "", {})


def test_no_word_has_two_meanings() -> None:
    words = [word for listed in MEANING.values() for word in listed]
    assert len(words) == len(set(words))
    assert all(word == word.casefold() for word in words)


def test_words_and_the_default_can_be_set() -> None:
    rulebook = book("raw_severity: {Catastrophe: P0, warning: P4}\ndefaults: {severity: P2}")
    assert [rulebook.verdict("s", event(w)).severity.name for w in ("catastrophe", "warning", "error", "x", "")] == [
        "P0",
        "P4",
        "P2",
        "P2",
        "P2",
    ]


def test_a_source_says_what_no_word_means() -> None:
    rulebook = book(sources="sources: {jobs: {adapter: generic, severity: critical}}")
    assert rulebook.verdict("jobs", event()).severity is Severity.P1
    assert rulebook.verdict("jobs", event("info")).severity is Severity.P4
    assert rulebook.verdict("other", event()).severity is Severity.P3


def test_max_severity_caps_rule_word_and_raises() -> None:
    rulebook = book("""
rules:
  - {name: cap, matchers: ['env="dev"'], max_severity: P3, continue: true}
  - {name: down, matchers: ['alertname="Down"'], severity: P0, raise: [{after: 1h, to: P1}]}
  - {name: note, matchers: ['alertname="Note"'], severity: P4}
""")
    down = rulebook.verdict("s", event(env="dev", alertname="Down"))
    assert (down.severity, down.raises) == (Severity.P3, (Raise(to=Severity.P3, after=3_600_000),))
    assert rulebook.verdict("s", event("critical", env="dev")).severity is Severity.P3
    assert rulebook.verdict("s", event(env="dev", alertname="Note")).severity is Severity.P4
    assert rulebook.verdict("s", event(env="live", alertname="Down")).severity is Severity.P0


@pytest.mark.parametrize(
    ("one", "group"),
    [
        (event(service="checkout", alertname="Down"), '[["service","checkout"],["alertname","Down"]]'),
        (event(alertname="Down"), '[["source","src"],["alertname","Down"]]'),
        (event(service="", alertname="Down"), '[["source","src"],["alertname","Down"]]'),
        (event(service="checkout"), '[["source","src"],["fingerprint","' + "f" * 32 + '"]]'),
        (event(), '[["source","src"],["fingerprint","' + "f" * 32 + '"]]'),
        (event(service='a"b', alertname="ä\n"), '[["service","a\\"b"],["alertname","ä\\n"]]'),
    ],
)
def test_the_group_key_never_is_one_shared_empty_group(one: Event, group: str) -> None:
    assert NOTHING.verdict("src", one).group == group


def test_alerts_that_only_the_fingerprint_tells_apart_share_no_group() -> None:
    first, second = event(), event()
    second.fingerprint = "0" * 32
    assert NOTHING.verdict("src", first).group != NOTHING.verdict("src", second).group


def test_a_rule_can_group_by_what_the_catalogue_adds() -> None:
    rulebook = book(
        "rules: [{name: g, matchers: [], group_by: [service_team, region]}]", services="services: {a: {team: t}}"
    )
    assert rulebook.verdict("s", event(service="a", region="eu")).group == '[["service_team","t"],["region","eu"]]'


def test_a_policy_by_label_falls_back_to_the_default_and_says_so() -> None:
    rulebook = book("rules: [{name: p, matchers: ['team=~\".+\"'], policy: 'on-{team}'}]", **{"teams/t/oncall": TEAM})
    known, unknown = rulebook.verdict("s", event(team="t")), rulebook.verdict("s", event(team="u"))
    assert (known.policy, known.unknown_policy) == ("on-t", "")
    assert (unknown.policy, unknown.unknown_policy) == ("default", "on-u")


TEAM = "policies: {on-t: {steps: [{notify: ana}]}}"


def test_a_policy_whose_label_is_missing_is_an_unknown_one() -> None:
    verdict = book("rules: [{name: p, matchers: [], policy: '{team}'}]").verdict("s", event())
    assert (verdict.policy, verdict.unknown_policy) == ("default", "{team}")


def runbooks() -> Rulebook:
    return compile_files(
        {
            "oncall.yaml": ONCALL,
            "runbooks/Down.md": "# Down",
            "runbooks/shop.md": "# Shop",
            "severity.yaml": """
rules:
  - {name: link, matchers: ['wiki=~".+"'], runbook: 'https://wiki.example.org/{wiki}'}
  - {name: file, matchers: ['alertname=~".+"'], runbook: 'runbooks/{alertname}.md'}
""",
            "services.yaml": "services: {shop: {runbook: runbooks/shop.md}, web: {runbook: runbooks/none.md}}",
        }
    )


@pytest.mark.parametrize(
    ("one", "runbook"),
    [
        (event(alertname="Down"), "runbooks/Down.md"),
        (event(alertname="Up"), ""),
        (event(alertname="../../etc/passwd"), ""),
        (event(alertname="Up", annotations={"runbook_url": "https://x.example.org/a"}), "https://x.example.org/a"),
        (event(alertname="Down", annotations={"runbook_url": "https://x.example.org/a"}), "runbooks/Down.md"),
        (event(alertname="Up", annotations={"runbook_url": "javascript:alert(1)"}), ""),
        (event(alertname="Up", service="shop"), "runbooks/shop.md"),
        (event(alertname="Up", service="web"), ""),
        (event(wiki="a b/../c?d"), "https://wiki.example.org/a%20b%2F..%2Fc%3Fd"),
    ],
)
def test_the_runbook(one: Event, runbook: str) -> None:
    assert runbooks().verdict("s", one).runbook == runbook


def test_equal_labels_with_other_annotations_get_their_own_runbook() -> None:
    rulebook = runbooks()
    first = rulebook.verdict("s", event(alertname="Up", annotations={"runbook_url": "https://a.example.org"}))
    second = rulebook.verdict("s", event(alertname="Up", annotations={"runbook_url": "https://b.example.org"}))
    assert (first.runbook, second.runbook) == ("https://a.example.org", "https://b.example.org")


def test_labels_that_rules_see_besides_the_alerts_own() -> None:
    rulebook = book(services="services: {a: {team: t, tier: 1, runbook: https://x, status_component: A}}")
    assert rulebook.labels_of("src", event("crit", service="a")) == {
        "service": "a",
        "service_team": "t",
        "service_tier": "1",
        "service_runbook": "https://x",
        "service_status_component": "A",
        "team": "t",
        "severity": "crit",
        "source": "src",
        "kind": "alert",
    }
    own = {"service": "a", "team": "u", "severity": "x", "source": "y"}
    seen = rulebook.labels_of("src", labelled(own, "crit"))
    assert {name: seen[name] for name in own} == own


def test_rules_can_tell_sources_kinds_and_words_apart() -> None:
    rulebook = book("""
rules:
  - {name: by source, matchers: ['source="kuma"'], severity: P0}
  - {name: by kind, matchers: ['kind="report"'], severity: P2}
  - {name: by word, matchers: ['severity="crit"'], severity: P4}
""")
    assert rulebook.verdict("kuma", event()).rule == "by source"
    assert rulebook.verdict("x", event(kind=Kind.REPORT)).rule == "by kind"
    assert rulebook.verdict("x", event("crit")).rule == "by word"
    assert rulebook.verdict("x", event()).rule == ""


def test_the_remaining_fields() -> None:
    verdict = book("""
time_intervals: {office: [{weekdays: [monday]}]}
rules:
  - name: all
    matchers: []
    wait: 1h30m
    during: office
    outcome: drop
    raise: [{firing: 3, distinct: instance, to: P1}, {times: 5, within: 10m, to: P2}]
""").verdict("s", event(service="x"))
    assert (verdict.wait, verdict.during, verdict.dropped, verdict.service) == (5_400_000, "office", True, "x")
    assert verdict.raises == (
        Raise(to=Severity.P1, firing=3, distinct="instance"),
        Raise(to=Severity.P2, times=5, within=600_000),
    )


def test_an_empty_field_names_nothing() -> None:
    verdict = book("rules: [{name: e, matchers: [], severity: , wait: null}]").verdict("s", event("critical"))
    assert (verdict.severity, verdict.rules) == (Severity.P1, {})


def test_an_empty_folder_is_a_rulebook_with_nobody_to_page() -> None:
    verdict = EMPTY.verdict("s", event("critical", alertname="Down"))
    assert (verdict.severity, verdict.policy) == (Severity.P1, "default")
    assert EMPTY.policies["default"].steps_for(Severity.P0) == ()
    assert (EMPTY.problems, EMPTY.people, EMPTY.operators, EMPTY.last_resort) == ([], {}, (), ())


def test_sources_have_a_default_stale_after() -> None:
    rulebook = book(sources="sources: {a: {adapter: x, stale_after: 10m, ignore_labels: [pod]}}")
    assert (rulebook.stale_after("a"), rulebook.stale_after("b")) == (600_000, 6 * 3_600_000)
    source = rulebook.source("a")
    assert source is not None
    assert source.ignore_labels == {"pod"}
    assert rulebook.source("b") is None


def test_policies_have_steps_for_all_severities_or_for_one() -> None:
    text = "policies: {default: {rounds: 2, steps: [{notify: ana}], P0: [{notify: [ana, ana], wait: 1m}], P4: []}}"
    policy = compile_files({"oncall.yaml": text}).policies["default"]
    assert [(s.notify, s.wait) for s in policy.steps_for(Severity.P0)] == [(("ana",), 60_000)]
    assert [(s.notify, s.wait) for s in policy.steps_for(Severity.P1)] == [(("ana",), 300_000)]
    assert policy.steps_for(Severity.P4) == ()
    assert policy.rounds == 2


def test_defaults_are_merged_with_the_built_in_ones() -> None:
    defaults = book("defaults: {settle: {P0: 2h}, remind_after: {P2: 3h}, reopen_within: 1h}").defaults
    assert (defaults.settle["P0"], defaults.settle["P2"]) == (7_200_000, 900_000)
    assert (defaults.remind_after["P0"], defaults.remind_after["P2"]) == (1_800_000, 10_800_000)
    assert (defaults.reopen_within, defaults.late_grace) == (3_600_000, 120_000)


def test_the_memo_is_bounded_and_forgets_without_changing_answers() -> None:
    rulebook = book("rules: [{name: r, matchers: ['a=\"7\"'], severity: P0}]")
    for number in range(MEMO_MAX * 2):
        verdict = rulebook.verdict("s", event(a=str(number)))
        assert (verdict.severity is Severity.P0) is (number == 7)
    assert len(rulebook._memo) <= MEMO_MAX
    assert rulebook.verdict("s", event(a="7")).rule == "r"


def test_what_is_asked_again_stays_in_the_memo() -> None:
    memo = _Memo(4)
    verdict = EMPTY.verdict("s", event())
    for key in "abcdef":
        memo.put(key, verdict)
        memo.put("x", verdict) if key == "a" else memo.get("x")
    assert memo.get("x") is verdict
    assert memo.get("a") is None
    assert len(memo) <= 4


def test_alerts_that_differ_where_no_rule_looks_share_one_answer() -> None:
    rulebook = book("rules: [{name: r, matchers: ['a=\"7\"'], severity: P0}]")
    for number in range(100):
        rulebook.verdict("s", event(a="7", alertname="x", instance=str(number)))
    assert len(rulebook._memo) == 1


def test_the_digest_is_that_of_the_files() -> None:
    assert compile_files({"oncall.yaml": ONCALL}).digest == compile_files({"oncall.yaml": ONCALL}).digest
    assert compile_files({"oncall.yaml": ONCALL + "# x"}).digest != compile_files({"oncall.yaml": ONCALL}).digest
