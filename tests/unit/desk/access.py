"""Who may use which route: written down a second time, by hand, so that no route gets its rights by accident.

A new route fails `test_access.py` until it has a line here. `read`: viewers and all others, on loopback anybody;
`respond`: responders and admins; `admin`: admins; `+silence`: tokens that may only silence, too.
"""

from __future__ import annotations

ACCESS = {
    "GET /incidents": "read",
    "GET /incidents/{id}": "read",
    "GET /incidents/{id}/alerts": "read",
    "GET /incidents/{id}/timeline": "read",
    "GET /incidents/{id}/guide": "read",
    "GET /alerts": "read",
    "GET /events": "read",
    "GET /ledger": "read",
    "GET /dead-letters": "read",
    "GET /heartbeats": "read",
    "GET /rules": "read",
    "GET /why": "read",
    "POST /incidents/{id}/acknowledge": "respond",
    "POST /incidents/{id}/resolve": "respond",
    "POST /incidents/{id}/note": "respond",
    "POST /incidents/{id}/check": "respond",
    "POST /incidents/{id}/unacknowledge": "respond",
    "POST /incidents/{id}/snooze": "respond",
    "POST /incidents/{id}/assign": "respond",
    "POST /incidents/{id}/escalate": "respond",
    "POST /incidents/{id}/page": "respond",
    "POST /incidents/{id}/phase": "respond",
    "POST /incidents/{id}/severity": "respond",
    "POST /incidents/{id}/role": "respond",
    "POST /incidents/{id}/impact": "respond",
    "POST /incidents/{id}/eta": "respond",
    "POST /incidents/{id}/link": "respond",
    "POST /incidents/{id}/merge": "respond",
    "POST /incidents/{id}/update": "respond",
    "GET /incidents/{id}/updates": "read",
    "POST /incidents/{id}/action": "respond",
    "POST /incidents/{id}/mitigation": "respond",
    "GET /incidents/{id}/runs": "read",
    "GET /actions": "read",
    "GET /oncall": "read",
    "GET /oncall/people/{person}": "read",
    "GET /oncall/{schedule}": "read",
    "POST /oncall/{schedule}/overrides": "respond",
    "DELETE /oncall/{schedule}/overrides/{override}": "respond",
    "POST /oncall/{schedule}/swaps": "respond",
    "GET /silences": "read",
    "POST /silences/preview": "respond",
    "GET /silences/{key}": "read+silence",
    "PUT /silences/{key}": "respond+silence",
    "DELETE /silences/{key}": "respond+silence",
    "GET /changes": "read",
    "GET /checks": "read",
    "GET /incidents/{id}/before": "read",
    "POST /incidents": "respond",
    "GET /tokens": "admin",
    "POST /tokens": "admin",
    "DELETE /tokens/{name}": "admin",
    "GET /audit-log": "admin",
}
"""Method and path → scope."""

VIEWS = {
    "GET /": "read",
    "GET /alerts": "read",
    "GET /incidents/{id}": "read",
    "GET /declare": "read",
    "GET /login": "open",
    "GET /static/{name}": "open",
    "GET /a/{token}": "link",
    "POST /a/{token}": "link",
    "POST /a/{token}/call": "signed",
    "POST /a/{token}/key": "signed",
    "POST /a/{token}/status": "signed",
    "POST /a/{token}/tap": "link",
    "POST /replies/twilio": "signed",
    "POST /declare": "respond",
    "POST /incidents/{id}/{verb}": "respond",
    "POST /login": "open",
    "POST /logout": "read",
    "GET /api/v1/openapi.json": "open",
    "GET /api/v1/stream": "read",
    "GET /api/v1/oncall/people/{person}.ics": "read",
    "GET /api/v1/oncall/{schedule}.ics": "read",
    "* /api/v1/{rest}": "open",
}
"""What else the desk serves. `open`: anybody; `link`: whoever has the signed link of a page.

`signed`: a provider that signs what it sends.
"""
