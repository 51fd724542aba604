"""Every fault that an operator's file can have: what is said of it, and where."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.rulebook.making import ONCALL, problems_of, said
from triage.rulebook import Problem, RulesError, compile_files, render

RULE = "rules:\n  - name: r\n    matchers: ['a=\"b\"']\n    "

SEVERITY = [
    ("- x", "1:1: expected a mapping, found a list"),
    ("rules: 5", "1:8: rules: expected a list, found 5"),
    ("rules: [x]", '1:9: rules: expected a mapping, found "x"'),
    ("rule: []", '1:1: unknown key "rule" (did you mean "rules"?)'),
    ("zzz: []", '1:1: unknown key "zzz" (known here: time_intervals, rules, defaults, raw_severity)'),
    ("rules: [{matchers: []}]", '1:9: "name" is missing'),
    ("rules: [{name: x}]", '1:9: "matchers" is missing'),
    ("rules: [{name: '', matchers: []}]", "1:16: name: can't be empty"),
    (RULE + "severty: P0", '4:5: unknown key "severty" (did you mean "severity"?)'),
    (RULE + "severity: p0", '4:15: severity: expected a severity, P0 to P4, found "p0" (did you mean "P0"?)'),
    (RULE + "severity: 0", "4:15: severity: expected a severity, P0 to P4, found 0"),
    (RULE + "continue: yes", '4:15: continue: expected true or false, found "yes"'),
    (RULE + "outcome: drp", "4:14: outcome: expected 'drop', found \"drp\""),
    (RULE + "policy: '{team'", '4:13: "{team" has an unpaired brace: a label is written {name}'),
    (RULE + "runbook: '{}.md'", '4:14: "{}.md" has an empty {}: name the label whose value belongs there'),
    (RULE + "wait: 10", "4:11: wait: expected a duration with its unit, like 90s or 10m, found 10"),
    (
        RULE + "wait: 10min",
        '4:11: wait: "10min" is no duration: write a number and a unit, largest first, like 90s, 10m, 1h30m or 2d',
    ),
    (RULE + "wait: 20000d", '4:11: wait: "20000d" is longer than ten years'),
    (
        RULE + "group_by: []",
        "4:15: group_by is empty (name at least one label; everything would be one incident)",
    ),
    (RULE + "group_by: [a, a]", "4:15: group_by names a label twice"),
    (
        RULE + "group_by: {a: b}",
        "4:15: group_by: expected a list, found a mapping "
        "(a list is written [one, two], or one a line, each after a -)",
    ),
    (RULE + "during: ofice", '4:13: there is no time interval "ofice" (name it under time_intervals:)'),
    (
        RULE + "raise: [{to: P1}]",
        "4:13: raise takes exactly one of after, firing, times; found none of them (write one item for each)",
    ),
    (
        RULE + "raise: [{to: P1, after: 1m, firing: 3}]",
        "4:13: raise takes exactly one of after, firing, times; found after and firing (write one item for each)",
    ),
    (
        RULE + "raise: [{to: P1, times: 3}]",
        "4:13: times and within belong together (for example {times: 5, within: 10m, to: P1})",
    ),
    (
        RULE + "raise: [{to: P1, after: 1m, distinct: x}]",
        "4:33: distinct belongs to firing (add firing: and how many)",
    ),
    (RULE + "raise: [{to: P1, firing: 0}]", "4:30: firing: must be at least 1"),
    (RULE + "raise: [{after: 1m}]", '4:13: "to" is missing'),
    (RULE + "heartbeat: {by: [x]}", '4:16: "every" is missing'),
    (
        'rules: [{name: r, matchers: {a="b"}}]',
        "1:29: matchers: expected matchers in quotes, like 'severity=\"critical\"', found a mapping",
    ),
    ("rules: [{name: r, matchers: ['a==\"b\"']}]", '1:32: == is no operator (write a="…")'),
    (
        'rules: [{name: r, matchers: [\'a="b", c=~"("\']}]',
        "1:41: the regular expression is not RE2: missing ): ( (syntax: https://github.com/google/re2/wiki/Syntax)",
    ),
    (
        "rules: [{name: r, matchers: []}, {name: r, matchers: []}]",
        '1:41: the rule "r" is already on line 1 (give each rule a name of its own)',
    ),
    ("defaults: {polcy: x}", '1:12: unknown key "polcy" (did you mean "policy"?)'),
    ("defaults: {policy: '{team}'}", "1:20: the default policy can't depend on a label (name one policy)"),
    ("defaults: {settle: {P7: 1h}}", '1:21: "P7" is no severity (P0 to P4)'),
    ("raw_severity: {foo: high}", '1:21: foo: expected a severity, P0 to P4, found "high"'),
    ("time_intervals: {x: []}", '1:21: the time interval "x" is empty (give it at least one item)'),
    (
        "time_intervals: {x: [{times: [{start_time: '18:00', end_time: '09:00'}]}]}",
        '1:31: "18:00" is not before "09:00": for a night write two ranges, to "24:00" and from "00:00"',
    ),
    (
        "time_intervals: {x: [{times: [{start_time: '9:00', end_time: '10:00'}]}]}",
        '1:31: "9:00" is no time of day: write it like "09:00", at most "24:00"',
    ),
    (
        "time_intervals: {x: [{location: Europe/Berln}]}",
        '1:33: "Europe/Berln" is no time zone: write one like Europe/Berlin or UTC',
    ),
    ("time_intervals: {x: [{weekdays: ['frday']}]}", '1:34: "frday" is no weekday (did you mean "friday"?)'),
    ("time_intervals: {x: [{weekdays: ['5']}]}", '1:34: "5" is no weekday'),
    (
        "time_intervals: {x: [{weekdays: ['friday:monday']}]}",
        '1:34: "friday:monday" runs backwards: write two ranges',
    ),
    ("time_intervals: {x: [{months: ['13']}]}", '1:32: "13" is no month or range of them'),
    ("time_intervals: {x: [{days_of_month: ['0']}]}", '1:39: "0" is no day of the month or range of them'),
    ("time_intervals: {x: [{years: ['20x']}]}", '1:31: "20x" is no year'),
]

REMEDY = "put the secret into an environment variable and write ${NAME} in its place"
ONCALL_FAULTS = [
    ("people: {a: {contact: 'mailto://u:pw@x.org'}}", f"1:23: a literal secret stands in this URL ({REMEDY})"),
    ("people: {a: {contact: 'webhook+https://x/y#abc'}}", f"1:23: a literal secret stands in this URL ({REMEDY})"),
    (
        "people: {a: {slack: ana}}",
        '1:21: "ana" is no Slack member ID (in Slack: profile, ⋮, Copy member ID; it begins with U)',
    ),
    (
        "people: {a: {slack: U0ANA}, b: {slack: U0ANA}}",
        '1:40: "a" has this Slack member ID already (each person has an ID of their own)',
    ),
    ("people: {a: {contact: 'slack+bot://xoxb-1@x/C1'}}", f"1:23: a literal secret stands in this URL ({REMEDY})"),
    ("people: {a: {contact: 'ntfy://x?token=abc'}}", f"1:23: a literal secret stands in this URL ({REMEDY})"),
    (
        "people: {a: {contact: [terminal]}}",
        "1:24: this is no contact method: write a URL like mailto://…, terminal:// or file:///path",
    ),
    ("people: {a: {contact: ['x://${A']}}", "1:24: ${ is never closed"),
    ("people: {a: {contact: ['x://${A B}']}}", "1:24: ${A B} names no variable: letters, digits and _ only"),
    ("people: {a: {contact: ['file://x']}}", "1:24: a file needs its whole path: file:///path"),
    ("policies: {p: {rounds: 0}}", "1:24: rounds: must be at least 1"),
    ("policies: {p: {rounds: 1.5}}", "1:24: rounds: expected a whole number, found 1.5"),
    ("policies: {p: {step: []}}", '1:16: unknown key "step" (did you mean "steps"?)'),
    ("policies: {p: {P0: [{wait: 5m}]}}", '1:21: "notify" is missing'),
    (
        "wards: {}",
        '1:1: unknown key "wards" (known here: people, teams, schedules, policies, drills, operators, last_resort)',
    ),
]

SHA = "a SHA-256 has 64 hex digits; `tocsin token make` makes a token and tells its SHA-256"
SOURCES = [
    ("sources: {a: {}}", '1:14: "adapter" is missing'),
    (
        "sources: {a b: {adapter: x}}",
        '1:11: "a b" can\'t be a part of a web address (use letters, digits, dots, _ and -)',
    ),
    ("sources: {a: {adapter: x, token_sha256: abc}}", f"1:41: this is no SHA-256 of a token ({SHA})"),
    (
        "sources: {a: {adapter: x, secret: hunter2}}",
        "1:35: a literal secret stands here (write ${NAME} or file:PATH)",
    ),
    (
        "sources: {a: {adapter: x, items: 'a.[b'}}",
        "1:39: Invalid jmespath expression: Incomplete expression (syntax: https://jmespath.org/specification.html)",
    ),
    (
        "sources: {a: {adapter: x, mapping: {titel: t}}}",
        '1:37: an event has no field "titel" (known: title, status, dedup_key, severity, description, labels, '
        "annotations, links, url, starts_at, ends_at, source, labels.NAME, annotations.NAME)",
    ),
    (
        "sources: {a: {adapter: x, labels: {v: 1.10}}}",
        '1:39: v: expected text: put the number in quotes, like "1.10"',
    ),
]


@pytest.mark.parametrize(("text", "problem"), SEVERITY)
def test_a_fault_of_severity_yaml(text: str, problem: str) -> None:
    assert said({"oncall.yaml": ONCALL, "severity.yaml": text}) == [f"severity.yaml:{problem}"]


@pytest.mark.parametrize(("text", "problem"), ONCALL_FAULTS)
def test_a_fault_of_oncall_yaml(text: str, problem: str) -> None:
    assert said({"oncall.yaml": text}) == [f"oncall.yaml:{problem}"]


@pytest.mark.parametrize(("text", "problem"), SOURCES)
def test_a_fault_of_sources_yaml(text: str, problem: str) -> None:
    assert said({"oncall.yaml": ONCALL, "sources.yaml": text}) == [f"sources.yaml:{problem}"]


def test_faults_of_services_and_of_names_used_twice() -> None:
    files = {
        "oncall.yaml": ONCALL,
        "services.yaml": "services: {a: {tier: 1, team: [x]}, b: {}}",
        "teams/t/services.yaml": "services: {b: {}, c: {team: u}}",
        "teams/t/oncall.yaml": "people: {ana: {}}",
    }
    assert said(files) == [
        "services.yaml:1:31: team: expected text, found a list",
        'teams/t/oncall.yaml:1:10: the person "ana" is already in oncall.yaml, line 3 '
        "(names are shared by the whole folder: choose another)",
        'teams/t/services.yaml:1:12: the service "b" is already in services.yaml, line 1 '
        "(names are shared by the whole folder: choose another)",
        'teams/t/services.yaml:1:29: the folder of team "t" can\'t describe a service of "u" '
        "(move it to that team's folder or to the top services.yaml)",
    ]


def test_all_faults_of_all_files_come_at_once() -> None:
    """A fault of form hides neither the matchers of the same rule nor those of the next."""
    severity = (
        "rules:\n  - {name: a, matchers: ['x=='], severty: P0}\n  - {name: b, matchers: ['y='], severity: P9}\n"
        "  - {matchers: []}\n  - {name: d, matchers: ['z']}\n"
    )
    places = [(p.path, p.line, p.column) for p in problems_of({"severity.yaml": severity, "oncall.yaml": "x: 1\ny: ["})]
    assert places == [
        ("oncall.yaml", 3, 1),
        ("severity.yaml", 2, 28),
        ("severity.yaml", 2, 34),
        ("severity.yaml", 3, 29),
        ("severity.yaml", 3, 43),
        ("severity.yaml", 4, 5),
        ("severity.yaml", 5, 28),
    ]


def test_a_wrong_interval_is_not_called_unknown_as_well() -> None:
    text = "time_intervals: {o: [{location: X}]}\nrules: [{name: r, matchers: [], during: o}]"
    assert said({"severity.yaml": text}) == [
        'severity.yaml:1:33: "X" is no time zone: write one like Europe/Berlin or UTC'
    ]


def test_secrets_are_not_repeated_in_the_message() -> None:
    files = {
        "oncall.yaml": "people: {a: {contact: ['mailto://u:hunter2@x.org', 'hunter2']}}",
        "sources.yaml": "sources: {a: {adapter: x, secret: hunter2}}",
    }
    lines = said(files)
    assert len(lines) == 3
    assert not any("hunter2" in line for line in lines)


def test_secrets_from_elsewhere_are_taken() -> None:
    methods = (
        "['ntfys://${TOKEN}@x.org/t', 'mailto://u:${PW}@x.org', 'terminal://', 'file:///var/log/p', 'x://h?token=${T}']"
    )
    files = {
        "oncall.yaml": ONCALL.replace("[terminal://]", methods),
        "sources.yaml": "sources: {a: {adapter: x, secret: '${S}'}, b: {adapter: x, secret: file:/run/s}}",
    }
    assert said(files) == []


def test_is_shown_with_its_line_and_a_caret() -> None:
    (problem,) = problems_of(
        {"oncall.yaml": ONCALL, "severity.yaml": "rules:\n  - {name: ä日, severty: P0, matchers: []}\n"}
    )
    assert render(problem) == (
        'severity.yaml:2:16: unknown key "severty"\n'
        "      - {name: ä日, severty: P0, matchers: []}\n"
        "                    ^\n"
        '    did you mean "severity"?'
    )
    assert render(problem, color=True).startswith("\x1b[1mseverity.yaml:2:16:\x1b[0m \x1b[31merror:\x1b[0m unknown key")


def test_a_long_line_is_shown_around_the_place_and_cannot_drive_the_terminal() -> None:
    shown = render(Problem("x.yaml", 1, 301, "bad \x1b[2J", "", "warning", "x" * 300 + "HERE\x1b[2J" + "y" * 300))
    head, line, caret = shown.split("\n")
    assert head == "x.yaml:1:301: warning: bad \\x1b[2J"
    assert line[len(caret) - 1 :].startswith("HERE [2J")
    assert len(line) < 130


def test_the_error_names_every_fault_in_its_text() -> None:
    with pytest.raises(RulesError) as caught:
        compile_files({"severity.yaml": "a: 1\nb: 1"})
    assert str(caught.value).count("unknown key") == 2


WORDS = st.sampled_from(
    ["rules", "name", "matchers", "severity", "P0", "P9", "raise", "to", "defaults", "settle", "1h", "times", "x"]
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.sampled_from(['a="b"', "a=~(", "{x}", "{"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def written(value: object) -> str:
    """Write a value as YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else "null" if value is None else str(value).lower()


@settings(max_examples=200)
@given(
    st.sampled_from(["severity.yaml", "oncall.yaml", "services.yaml", "sources.yaml", "teams/t/severity.yaml"]),
    st.sampled_from(["rules", "time_intervals", "people", "policies", "services", "sources", "defaults", "operators"]),
    VALUES,
)
def test_whatever_a_file_holds_it_compiles_or_has_placed_faults(path: str, key: str, value: object) -> None:
    text = f"{key}: {written(value)}\n"
    for problem in problems_of({path: text}):
        assert problem.path in (path, "oncall.yaml")
        assert 1 <= problem.line <= 2
        assert problem.message


def test_a_source_of_an_unknown_format_is_refused_where_the_formats_are_known() -> None:
    files = {"sources.yaml": "sources: {a: {adapter: alertmanger}}"}
    assert compile_files(files).sources["a"].adapter == "alertmanger", "what decides does not know the door"
    with pytest.raises(RulesError) as refused:
        compile_files(files, ["alertmanager", "generic"])
    (problem,) = refused.value.problems
    assert (problem.message, problem.hint) == ('there is no adapter "alertmanger"', 'did you mean "alertmanager"?')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("intervals: {P0: 30m, P7: 1h}", '1:22: expected a severity, P0 to P4, found "P7"'),
        (
            "mail: 'slack://${T}'",
            "1:7: this is no mail server: write mailtos://user:${MAIL_PASSWORD}@mail.example.org",
        ),
    ],
)
def test_a_key_at_fault_is_pointed_at_and_no_hint_speaks_of_something_else(text: str, told: str) -> None:
    assert f"updates.yaml:{told}" in [str(problem) for problem in problems_of({"updates.yaml": text})]
