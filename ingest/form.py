"""The form at `/report`, where users say that something is wrong. It works without JavaScript.

It needs no protection against other sites' posts beyond the door's own: all it can do is file an anonymous report.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Final

import msgspec
from aiohttp import web

PATH: Final = "/report"
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}label{display:block;margin:1rem 0 .2rem}input,select,textarea,button{font:inherit;width:100%;"
    "box-sizing:border-box;min-height:2.75rem;padding:.5rem;border:1px solid #767676;border-radius:.3rem}"
    "button{margin-top:1.5rem;background:#0b4f9c;color:#fff;border:0}small{color:#555}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}small{color:#aaa}"
    "input,select,textarea{color:#eee;background:#222}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""`no-referrer` would make browsers send `Origin: null` with the form."""
_FORM: Final = """<h1>Report a problem</h1>
<p>Tell the people on call what does not work. They see it at once; nobody is woken by one report alone.</p>
<form method="post">
<label for="title">What is wrong? <small>(one line)</small></label>
<input id="title" name="title" required maxlength="300" autofocus>
<label for="description">What did you do, what happened, since when? <small>(optional)</small></label>
<textarea id="description" name="description" rows="6" maxlength="16000"></textarea>
<label for="service">Which service? <small>(optional)</small></label>
<input id="service" name="service" maxlength="200">
<label for="severity">How bad is it?</label>
<select id="severity" name="severity">
<option value="">I cannot tell</option>
<option value="p0">P0: nothing works, or data is lost</option>
<option value="p1">P1: something important does not work</option>
<option value="p2">P2: it works badly, but there is a way around it</option>
<option value="p3">P3: it is a blemish</option>
<option value="p4">P4: nothing is wrong, I wish for something</option>
</select>
<label for="reporter">Who are you? <small>(optional, for questions)</small></label>
<input id="reporter" name="reporter" maxlength="200" autocomplete="name">
<button>Send the report</button>
</form>"""


class _Answer(msgspec.Struct):
    """What the door answered: an acceptance or a problem document."""

    entry: str | None = None
    detail: str = ""


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


def is_form(request: web.Request) -> bool:
    """Tell whether a request comes from a form, so that its answer must be a page."""
    return request.content_type in _FORMS


def page() -> web.Response:
    """Return the empty form."""
    return _page(200, "Report a problem", _FORM)


def answer_for(answer: web.Response) -> web.Response:
    """Return the page that says what the door's answer to a report says, with the same status and headers."""
    body = answer.body
    said = _ANSWERS.decode(body if isinstance(body, bytes) else b"{}")
    if said.entry is not None and answer.status < 400:
        text = (
            f"<h1>Thank you</h1>\n<p>Your report is stored; its number is <code>{html.escape(said.entry)}</code>.</p>"
        )
        result = _page(answer.status, "Thank you", f'{text}\n<p><a href="report">Report something else</a></p>')
    else:
        text = f"<h1>The report was not stored</h1>\n<p>{html.escape(said.detail)}</p>"
        hint = "<p>Go back in your browser to change it and send it again.</p>"
        result = _page(answer.status, "Not stored", f"{text}\n{hint}")
    for name in ("Retry-After", "WWW-Authenticate", "Allow"):
        if name in answer.headers:
            result.headers[name] = answer.headers[name]
    return result


def _page(status: int, title: str, main: str) -> web.Response:
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} · Tocsin</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{main}\n</main>\n</body>\n</html>\n"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)
