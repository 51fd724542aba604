"""What the API asks back is put to whoever sits at the terminal, and to nobody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tocsin.cli import COMMANDS, main

QUESTION = "3 alerts still fire;\nresolve \x1b[31mit all the same?"


class Api(HTTPServer):
    """Asks back, until it is told `confirm`. `bodies` are what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        sure = body["confirm"]
        answer = {"text": "resolved"} if sure else {"status": 409, "detail": QUESTION, "confirm": True}
        self.send_response(200 if sure else 409)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def resolve(api: Api, *more: str, types: str = "") -> Result:
    """Run `tocsin resolve` against the API, typing that at the question."""
    arguments = ["resolve", "k3m7qa", "--url", f"http://127.0.0.1:{api.server_port}", "--admin.token", "x" * 32, *more]
    return CliRunner().invoke(main, arguments, input=types)


def test_without_a_terminal_the_question_is_printed_and_nothing_is_done(api: Api) -> None:
    result = resolve(api)
    assert result.exit_code == 1
    assert "3 alerts still fire;\nresolve \N{REPLACEMENT CHARACTER}[31mit all the same?" in result.stderr
    assert "The same with --confirm means yes." in result.stderr
    assert "Error" not in result.stderr
    assert [body["confirm"] for body in api.bodies] == [False]


@pytest.mark.parametrize(("types", "told", "code"), [("y\n", [False, True], 0), ("n\n", [False], 1), ("", [False], 1)])
def test_at_a_terminal_it_is_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch, types: str, told: list[bool], code: int
) -> None:
    monkeypatch.setattr("tocsin.cli.verbs.at_terminal", lambda: True)
    result = resolve(api, types=types)
    assert result.exit_code == code
    assert [body["confirm"] for body in api.bodies] == told
    assert ("k3m7qa: resolved" in result.stdout) == (code == 0)


def test_at_a_terminal_a_move_is_asked_for_its_reason(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.cli.verbs.at_terminal", lambda: True)
    url = f"http://127.0.0.1:{api.server_port}"
    arguments = ["incident", "phase", "k3m7qa", "closed", "--url", url, "--admin.token", "x" * 32]
    result = CliRunner().invoke(main, arguments, input="y\nfalse alarm\n")
    assert result.exit_code == 0
    assert [(body["confirm"], body["text"]) for body in api.bodies] == [(False, ""), (True, "false alarm")]


def test_confirm_is_the_yes_to_it(api: Api) -> None:
    result = resolve(api, "--confirm")
    assert result.exit_code == 0
    assert [body["confirm"] for body in api.bodies] == [True]


def test_there_is_one_word_for_json_everywhere() -> None:
    def walk(command: click.Command, context: click.Context) -> Iterator[click.Command]:
        yield command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner, context)

    with click.Context(main) as context:
        for name in COMMANDS:
            found = main.get_command(context, name)
            assert found is not None
            for command in walk(found, context):
                flags = [flag for parameter in command.params for flag in parameter.opts]
                assert "--json" not in flags, command.name
                assert "--csv" not in flags, command.name
