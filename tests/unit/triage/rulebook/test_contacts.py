"""How a person can be told, as oncall.yaml writes it: faults are named at their place."""

from __future__ import annotations

import pytest

from triage.model import MINUTE
from triage.rulebook import RulesError, compile_files
from triage.rulebook.types import Notice, Person

HEAD = "people:\n  ana:\n"


def person(text: str) -> Person:
    return compile_files({"oncall.yaml": HEAD + text}).people["ana"]


def test_named_methods_and_steps_per_urgency() -> None:
    ana = person(
        '    methods: {push: "terminal://a", call: "terminal://b"}\n'
        "    notify: {high: [{by: call, after: 5m}, {by: push}], low: [{by: push}]}\n"
    )
    assert ana.methods == ("terminal://a", "terminal://b")
    assert ana.high == (Notice(0, 0), Notice(1, 5 * MINUTE))
    assert ana.low == (0,)


def test_a_plain_list_has_no_steps_of_its_own() -> None:
    ana = person('    contact: ["terminal://a", "terminal://b"]\n')
    assert (ana.methods, ana.high, ana.low) == (("terminal://a", "terminal://b"), (), ())


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('    methods: {push: "terminal://"}\n    notify: {high: [{by: pusch}]}\n', 4, 'did you mean "push"?'),
        ("    notify: {low: [{by: push}]}\n", 3, 'there is no contact method "push"'),
        ('    methods: {push: "nonsense"}\n', 3, "this is no contact method"),
        ('    contact: ["terminal://"]\n    methods: {push: "terminal://"}\n', 3, "either contact or methods"),
        (
            '    methods: {push: "terminal://"}\n    notify: {high: [{by: push}, {by: push, after: 5m}]}\n',
            4,
            "each method pages once",
        ),
        ('    methods: {push: "terminal://"}\n    notify: {high: [{by: push, after: 2d}]}\n', 4, "at most 1d after"),
        ('    methods: {push: "terminal://"}\n    notify: {low: [{by: push, after: 5m}]}\n', 4, "after"),
        ('    methods: {push: "mailtos://me:secret@example.org"}\n', 3, "literal secret"),
    ],
)
def test_faults_are_named_at_their_place(text: str, line: int, says: str) -> None:
    with pytest.raises(RulesError) as refused:
        person(text)
    (problem,) = [one for one in refused.value.problems if one.severity == "error"]
    assert says in f"{problem.message} {problem.hint}"
    assert (problem.path, problem.line) == ("oncall.yaml", line)


def test_steps_that_all_wait_are_worth_a_word() -> None:
    text = '    methods: {push: "terminal://"}\n    notify: {high: [{by: push, after: 5m}]}\n'
    problems = compile_files({"oncall.yaml": HEAD + text}).problems
    assert "nothing is sent in the first 5m" in [one.message for one in problems]
