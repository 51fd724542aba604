"""The same files say the same in every process: nothing hangs on hash seeds, zones of the machine, or environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
from tests.unit.triage.rulebook.making import event
from tests.unit.triage.rulebook.test_intervals import INTERVALS
from triage.rulebook import RulesError, compile_files
from pathlib import Path
paths = [path for path in Path("rules").rglob("*") if path.suffix in (".yaml", ".md")]
files = {str(path.relative_to("rules")): path.read_text("utf-8") for path in paths}
book = compile_files(files)
for one in (event("critical", alertname="Down", service="checkout", env="dev"), event("odd", a="b"), event()):
    print(book.explain("src", one))
print(compile_files({"severity.yaml": INTERVALS}).opens_at("office", 1_772_488_800_000), book.digest)
try:
    compile_files({"severity.yaml": "rule: 1\\nruls: 2\\nrules: [{nam: x}, {name: y, matchers: ['a=~('], wait: 1}]"})
except RulesError as error:
    print(error)
"""


def run(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_two_processes_agree() -> None:
    one = run(PYTHONHASHSEED="1", TZ="UTC", PYTHONTZPATH="")
    other = run(PYTHONHASHSEED="2", TZ="Asia/Kathmandu", LC_ALL="C")
    assert one == other
    assert "unknown key" in one
