"""Schemathesis, an independent reader of OpenAPI, asks the running server all that its document allows, and more."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.store.upping import Up
from tocsin import starting

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LIMIT_S = "30"
"""How long it may ask. It asks every operation at its limits first, then as chance has it until the time is over."""


def test_the_running_server_gives_no_5xx_and_no_answer_that_is_not_in_its_document(tmp_path: Path) -> None:
    storage = tmp_path / "state"
    with contextlib.closing(Up(storage)) as up:
        up.ready()
        up.alert("CheckoutDown")
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{up.url}/api/v1/openapi.json"]
        command += ["--header", f"Authorization: Bearer {starting.read_token(storage)}"]
        command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5"]
        command += ["--max-time", LIMIT_S, "--no-color", "--generation-deterministic", "--no-shrink"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        said = "\n".join(line[:300] for line in done.stdout.splitlines()[:150])
        assert done.returncode == 0, said
        with urllib.request.urlopen(f"{up.url}/-/ready", timeout=10) as answer:
            assert answer.status == 200
