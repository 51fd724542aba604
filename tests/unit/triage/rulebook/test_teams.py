"""Team folders: rules under their own team, and a broken folder that keeps its last good version."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, book, event
from triage.rulebook import RulesError, compile_files, load

GOOD = "rules: [{name: ours, matchers: [], severity: P2}]"
BETTER = "rules: [{name: ours, matchers: [], severity: P0}]"
BROKEN = "rules: [{name: ours, matchers: [], severity: P9}]"
TOP = {"oncall.yaml": ONCALL, "severity.yaml": "rules: [{name: top, matchers: ['top=\"1\"'], severity: P1}]"}


def with_teams(**teams: str) -> dict[str, str]:
    return {**TOP, **{f"teams/{team}/severity.yaml": text for team, text in teams.items()}}


def test_a_teams_rules_hold_for_its_alerts_only() -> None:
    rulebook = compile_files(with_teams(shop=GOOD))
    assert rulebook.verdict("s", event(team="shop")).rule == "shop/ours"
    assert rulebook.verdict("s", event(team="other")).rule == ""
    assert rulebook.verdict("s", event()).rule == ""


def test_the_top_rules_are_read_before_the_teams_in_the_order_of_their_names() -> None:
    rulebook = compile_files(with_teams(zoo=GOOD, art=GOOD))
    assert [rule.name for rule in rulebook.rules] == ["top", "art/ours", "zoo/ours"]
    assert rulebook.verdict("s", event(team="art", top="1")).rule == "top"


def test_a_service_of_the_team_is_enough_when_the_alert_names_no_team() -> None:
    rulebook = book(**{"teams/shop/severity": GOOD, "teams/shop/services": "services: {checkout: {tier: 1}}"})
    assert rulebook.services["checkout"].team == "shop"
    assert rulebook.verdict("s", event(service="checkout")).rule == "shop/ours"
    assert rulebook.verdict("s", event(service="checkout", team="other")).rule == ""


def test_a_team_has_no_say_over_everybody() -> None:
    with pytest.raises(RulesError) as caught:
        compile_files(
            {
                **TOP,
                "teams/t/severity.yaml": "defaults: {severity: P0}\nraw_severity: {info: P0}",
                "teams/t/oncall.yaml": "operators: [ana]\nlast_resort: [ana]",
            }
        )
    assert [problem.message for problem in caught.value.problems] == [
        'unknown key "operators"',
        'unknown key "last_resort"',
        'unknown key "defaults"',
        'unknown key "raw_severity"',
    ]


def test_a_broken_team_keeps_its_last_good_files_while_others_load() -> None:
    last_good = with_teams(shop=GOOD, art=GOOD)
    loaded = load(with_teams(shop=BROKEN, art=BETTER), last_good)
    assert loaded.files == with_teams(shop=GOOD, art=BETTER)
    assert loaded.kept == ("shop",)
    assert [(p.path, p.severity) for p in loaded.problems] == [("teams/shop/severity.yaml", "error")]
    assert loaded.rulebook.verdict("s", event(team="shop")).severity.name == "P2"
    assert loaded.rulebook.verdict("s", event(team="art")).severity.name == "P0"
    assert compile_files(loaded.files).digest == loaded.rulebook.digest


def test_a_broken_team_that_was_never_good_is_left_out() -> None:
    loaded = load(with_teams(shop=BROKEN, art=GOOD))
    assert loaded.files == with_teams(art=GOOD)
    assert loaded.kept == ("shop",)


def test_files_that_the_team_added_go_and_those_it_removed_come_back() -> None:
    last_good = {**TOP, "teams/t/severity.yaml": GOOD, "teams/t/services.yaml": "services: {a: {}}"}
    files = {**TOP, "teams/t/severity.yaml": BROKEN, "teams/t/oncall.yaml": "people: {tim: {contact: terminal://}}"}
    assert load(files, last_good).files == last_good


def test_a_broken_file_at_the_top_refuses_all_and_names_the_teams_faults_too() -> None:
    files = with_teams(shop=BROKEN)
    files["severity.yaml"] = "rule: []"
    with pytest.raises(RulesError) as caught:
        load(files, with_teams(shop=GOOD))
    assert [problem.path for problem in caught.value.problems] == ["severity.yaml", "teams/shop/severity.yaml"]


def test_a_change_at_the_top_that_breaks_a_kept_team_refuses_all() -> None:
    uses = "rules: [{name: u, matchers: [], during: office}]"
    last_good = {**with_teams(shop=uses), "severity.yaml": "time_intervals: {office: [{weekdays: [monday]}]}"}
    with pytest.raises(RulesError, match='there is no time interval "office"'):
        load({**TOP, "teams/shop/severity.yaml": uses}, last_good)


def test_everything_good_is_taken_as_it_is() -> None:
    files = with_teams(shop=GOOD)
    loaded = load(files, with_teams(shop=BETTER))
    assert (loaded.files, loaded.kept, loaded.problems) == (files, (), [])
