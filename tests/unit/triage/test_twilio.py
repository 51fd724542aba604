"""Twilio's contact methods: what is read, what is refused, and the signature of Twilio's own example."""

from __future__ import annotations

import pytest

from triage import twilio
from triage.rulebook.secrets import method_fault

WHOLE = "twilio+voice://AC123:t0ken@+15550100/+491701234567"


def test_the_signature_is_the_one_of_twilios_documentation() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature("12345", url, fields.items()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert twilio.signature("12346", url, fields.items()) != "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_contact_method_says_account_numbers_and_an_api_key() -> None:
    line = twilio.read(WHOLE)
    assert (line.account, line.auth_token, line.sender, line.to) == ("AC123", "t0ken", "+15550100", "+491701234567")
    assert (line.key, line.secret, line.api) == ("AC123", "t0ken", "https://api.twilio.com")
    keyed = twilio.read(f"{WHOLE}?key=SK9&secret=s%2F1&api=http://127.0.0.1:1/")
    assert (keyed.key, keyed.secret, keyed.auth_token, keyed.api) == ("SK9", "s/1", "t0ken", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("twilio+sms://${A}:${T}@+15550100", "FROM/TO"),
        ("twilio+sms://${A}@+15550100/+491701234567", "FROM/TO"),
        ("twilio+sms://${A}:${T}@+15550100/0170123", "+491701234567"),
        ("twilio+sms://${A}:${T}@+15550100/+491701234567?key=${K}", "needs both"),
        ("twilio+sms://${A}:${T}@+15550100/+491701234567?region=ie1", "knows no region="),
        ("twilio+sms://${A}:${T}@a-much-too-long-name/+491701234567", "the sender must be"),
        ("twilio+voice://${A}:${T}@Tocsin/+491701234567", "a call needs a number"),
        ("twilio+voice://a b:${T}@+15550100/+491701234567", "the account is its SID"),
        ("twilio+sms://AC1:literal@+15550100/+491701234567", "a literal secret"),
    ],
)
def test_what_cannot_be_called_is_refused_before_it_is_needed(method: str, says: str) -> None:
    assert says in method_fault(method)


@pytest.mark.parametrize("sender", ["+15550100", "12345", "Tocsin", "MG" + "0a" * 16, "${FROM}"])
def test_senders_that_can_be(sender: str) -> None:
    assert method_fault(f"twilio+sms://${{A}}:${{T}}@{sender}/${{ANAS_PHONE}}") == ""


def test_only_a_name_takes_no_answer() -> None:
    taking = {one: twilio.read(f"twilio+sms://a:b@{one}/+4912345678").two_way for one in ("+15550100", "Tocsin", "MGa")}
    assert taking == {"+15550100": True, "Tocsin": False, "MGa": True}
