"""The command line as people meet it: quick, and in whole sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tocsin.cli import COMMANDS, main
from tocsin.rules import offer
from triage.model import Severity
from triage.rulebook.meanings import told

HEAVY = ("aiohttp", "redis", "rq", "apprise", "pydantic", "structlog", "rich", "msgspec", "jinja2", "yaml")


def test_the_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from tocsin.cli import main;"
        "print(CliRunner().invoke(main, ['--help']).output);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "Usage" in run.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_of_each_command_what_it_says_of_itself(name: str) -> None:
    with click.Context(main) as context:
        command = main.get_command(context, name)
    assert command is not None
    assert command.help is not None
    first = " ".join(command.help.split("\n\n")[0].split())
    assert first.startswith(COMMANDS[name][1].rstrip("."))


@pytest.mark.parametrize("command", [["incident", "severity"], ["incident", "declare"], ["status", "subscribe"]])
def test_where_a_severity_is_chosen_the_help_says_what_each_means(command: list[str]) -> None:
    lines = CliRunner().invoke(main, [*command, "--help"]).output.splitlines()
    assert [line.strip() for line in lines if line.strip()[:2] in Severity.__members__] == told().splitlines()


def test_a_bad_setting_ends_with_one_sentence_and_code_2() -> None:
    result = CliRunner().invoke(main, ["settings", "--web.listen-address", "nowhere"])
    assert result.exit_code == 2
    assert "--web.listen-address (TOCSIN_WEB_LISTEN_ADDRESS) is 'nowhere'" in result.output
    assert "Traceback" not in result.output


def test_settings_lists_values_and_origins_and_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ADMIN_TOKEN", "very-secret")
    result = CliRunner().invoke(main, ["settings", "--log.level", "debug"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split()[1:] for line in result.output.splitlines()}
    assert lines["log.level"] == ["debug", "--log.level"]
    assert lines["admin.token"] == ["********", "TOCSIN_ADMIN_TOKEN"]
    assert "very-secret" not in result.output


@pytest.mark.parametrize("name", ["serve", "work"])
def test_the_halves_say_that_they_need_a_store(name: str) -> None:
    result = CliRunner().invoke(main, [name])
    assert result.exit_code == 2
    assert "--redis.url" in result.output


def test_nobody_answering_is_code_4_and_says_how_to_start_it(tmp_path: Path) -> None:
    arguments = ["incidents", "--storage.path", str(tmp_path), "--url", "http://127.0.0.1:1"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 4
    assert "Nobody answers at http://127.0.0.1:1" in result.output
    assert "tocsin up" in result.output


def test_a_store_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["audit", "--storage.path", str(tmp_path / "none")])
    assert result.exit_code == 4
    assert "There is no store in" in result.output


def test_init_reports_what_it_wrote_and_what_it_kept(tmp_path: Path) -> None:
    arguments = ["init", str(tmp_path / "rules"), "--storage.path", str(tmp_path / "state")]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert "wrote" in first.output
    assert "kept" not in first.output
    second = CliRunner().invoke(main, arguments)
    assert "wrote" not in second.output
    assert second.output.count("kept") == first.output.count("wrote")


def test_check_shows_the_place_of_each_problem(tmp_path: Path) -> None:
    (tmp_path / "severity.yaml").write_text("rules:\n  - name: a\n    severity: P9\n")
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert "severity.yaml:3:" in result.output


def test_check_counts_good_files(tmp_path: Path) -> None:
    (tmp_path / "severity.yaml").write_text("defaults: {severity: P3}\n")
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 file good" in result.output


def test_check_warns_of_calls_that_could_say_nothing(tmp_path: Path) -> None:
    people = 'people:\n  ana: {contact: ["twilio+voice://${SID}:${TOKEN}@+15550100/+491701234567"]}\n'
    policies = "policies: {default: {steps: [{notify: ana}]}}\nlast_resort: [ana]\noperators: [ana]\n"
    (tmp_path / "oncall.yaml").write_text(people + policies)
    silent = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert (silent.exit_code, "--web.external-url" in silent.output) == (0, True)
    assert "oncall.yaml:2:20" in silent.output
    reachable = CliRunner().invoke(main, ["check", str(tmp_path), "--web.external-url", "https://tocsin.example.org"])
    assert (reachable.exit_code, "--web.external-url" in reachable.output) == (0, False)


def test_check_warns_of_a_contact_method_that_nothing_knows(tmp_path: Path) -> None:
    known = '"ntfys://${T}@x/y", terminal://, "slack+bot://${T}@a/C1"'
    people = f'people:\n  ana: {{contact: [{known}, "ntfyz://${{T}}@x/y"]}}  # nope://\n'
    (tmp_path / "oncall.yaml").write_text(people + "policies: {default: {steps: [{notify: ana}]}}\n")
    told = CliRunner().invoke(main, ["check", str(tmp_path)])
    place = people.splitlines()[1].index("ntfyz") + 1
    assert f"oncall.yaml:2:{place}: warning: nothing knows ntfyz://, so nobody is told by it" in told.output
    assert (told.exit_code, told.output.count("nothing knows")) == (0, 1)


def test_check_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "There is no rules folder" in result.output


def test_parse_shows_event_and_verdict(tmp_path: Path) -> None:
    (tmp_path / "severity.yaml").write_text(
        "rules:\n  - name: all down\n    matchers: ['alertname=\"Down\"']\n    severity: P0\n"
    )
    sample = tmp_path / "body.json"
    sample.write_text(
        '{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Down"},"startsAt":"2026-01-01T00:00:00Z"}]}'
    )
    result = CliRunner().invoke(main, ["parse", "alertmanager", str(sample), "--rules.path", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert '"rule": "all down"' in result.output
    assert '"alertname": "Down"' in result.output


def test_parse_names_the_nearest_adapter(tmp_path: Path) -> None:
    sample = tmp_path / "body.json"
    sample.write_text("{}")
    result = CliRunner().invoke(main, ["parse", "alertmanagr", str(sample), "--rules.path", str(tmp_path)])
    assert result.exit_code == 2
    assert "alertmanager" in result.output


def test_check_shows_the_faults_of_templates_with_the_others_and_a_reload_refuses_them(tmp_path: Path) -> None:
    (tmp_path / "severity.yaml").write_text("rules:\n  - name: a\n    severity: P9\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "default.page.txt").write_text("{{ acknowledge }}\n  {{ title.upper() }}\n")
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert "templates/default.page.txt:2:3: “a call” is not allowed" in result.output
    assert "severity.yaml:3:" in result.output
    assert "2 errors" in result.output or "3 errors" in result.output
    (tmp_path / "severity.yaml").unlink()
    offered = offer(tmp_path, "test", {})
    assert offered.entry.files == {}
    assert len(offered.entry.errors) == 1
    assert offered.entry.errors[0].startswith("templates/default.page.txt:2:3: ")


def test_parse_shows_what_changed_and_of_which_service(tmp_path: Path) -> None:
    sample = tmp_path / "deploy.json"
    sample.write_text('{"repository": "acme/storefront", "version": "4.18.2"}')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "services.yaml").write_text("services: {shop: {repository: acme/storefront}}")
    result = CliRunner().invoke(main, ["parse", "changes", str(sample), "--rules.path", str(tmp_path / "rules")])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["service"], found["change"]["version"], found["change"]["kind"]) == ("shop", "4.18.2", "deploy")
