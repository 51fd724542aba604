"""`tocsin token make` makes what the rules take."""

from __future__ import annotations

import hashlib

from click.testing import CliRunner

from tocsin.cli import main
from triage.rulebook import RulesError, compile_files


def test_the_printed_digest_is_of_the_printed_token_and_the_rules_take_it() -> None:
    result = CliRunner().invoke(main, ["token", "make", "ana"])
    token = result.stdout.strip()
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert f"token_sha256: {digest}" in result.stderr
    rulebook = compile_files(
        {"oncall.yaml": f"people: {{ana: {{contact: ['terminal://'], token_sha256: '{digest}'}}}}"}
    )
    assert rulebook.people["ana"].token_sha256 == digest


def test_a_token_in_place_of_its_digest_is_refused() -> None:
    try:
        compile_files({"oncall.yaml": "people: {ana: {token_sha256: secret}}"})
    except RulesError as refused:
        assert [problem.message for problem in refused.problems] == ["this is no SHA-256 of a token"]
    else:
        raise AssertionError("it was taken")
