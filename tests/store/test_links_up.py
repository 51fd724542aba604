"""The link of a page in a whole `tocsin up`: receiver and workers share a secret that nobody had to set."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tests.store.upping import Up, command, until
from tests.unit.workers.smtp_server import free_port

SEVERITY = "rules: [{name: all, matchers: ['alertname=~\".+\"'], severity: P0}]\n"
ONCALL = """
people: {{ada: {{name: Ada, contact: ['file://{pages}']}}}}
policies: {{default: {{steps: [{{notify: [ada], wait: 5m}}]}}}}
operators: [ada]
last_resort: [ada]
"""


def fetch(url: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
    """GET, or POST a form as a browser would; return status and text of where it ends."""
    body = urllib.parse.urlencode(fields).encode() if fields is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_page_is_acknowledged_by_its_link(tmp_path: Path) -> None:
    storage, pages, port = tmp_path / "state", tmp_path / "pages.jsonl", free_port()
    (storage / "rules").mkdir(parents=True)
    (storage / "rules" / "severity.yaml").write_text(SEVERITY)
    (storage / "rules" / "oncall.yaml").write_text(ONCALL.format(pages=pages))
    url = f"http://127.0.0.1:{port}"
    up = Up(storage, "--web.external-url", url, address=f"127.0.0.1:{port}")
    try:
        up.ready()
        up.alert("CheckoutDown")
        until("the page is written", pages.exists)
        page = json.loads(until("the page is whole", pages.read_text))
        assert page["answer_url"].startswith(f"{url}/a/")
        assert f"tap {page['number']} at {page['answer_url']} or tocsin ack" in page["body"]
        status, text = fetch(page["answer_url"])
        assert (status, len(re.findall(r'name="number" value="\d\d"', text))) == (200, 3)
        status, text = fetch(page["answer_url"], {"tries": "0", "number": page["number"]})
        assert (status, "You have it." in text) == (200, True)
        shown = command(storage, "incidents", "-o", "json").stdout
        assert json.loads(shown)["items"][0]["acknowledged_by"] == "ada"
        token = page["answer_url"].rpartition("/")[2]
        assert token not in up.output
        assert (storage / "link.secret").read_text().strip() not in up.output
        audit = command(storage, "audit", "--replay")
        assert audit.returncode == 0, audit.stdout
    finally:
        up.close()
