"""What makes a mail, and what each wrong input is told."""

from datetime import UTC, datetime
from typing import Any

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from jobs.addresses import check_address
from jobs.emails import EMAIL, Email
from jobs.errors import InvalidInputError
from jobs.mail_tokens import MailTokens, Unsubscription, reset_token_hash
from jobs.mailings import MAILING, Mailing
from jobs.validation import redact, validate

TO: dict[str, Any] = {"to": "ada@example.com"}
WELCOME: dict[str, Any] = {**TO, "template": "welcome", "data": {"name": "Ada"}}
NOTICE: dict[str, Any] = {"title": "T", "message": "M", "name": "N"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"template": "welcom"}, "template: no template 'welcom'; did you mean 'welcome'?"),
        ({"template": None}, "template: Input should be a valid string"),
        ({"data": {}}, "data.name: is required by template 'welcome'"),
        ({"data": {"nam": "A", "name": "A"}}, "no such variable; did you mean 'name'?"),
        ({"data": {"name": "A\r\nBcc: x"}}, "data.name: must be one line"),
        ({"data": {"name": ""}}, "data.name: String should have at least 1 character"),
        ({"to": "Ada <ada@example.com>"}, "to: is no mail address: A display name"),
        ({"to": "ada@example.com\r\nRCPT TO:<x@y.com>"}, "to: is no mail address"),
        ({"to": "ada"}, "to: is no mail address"),
        ({"to": "ada@localhost"}, "to: is no mail address"),
        ({"to": "a..b@example.com"}, "to: is no mail address"),
        ({"user_id": "ada"}, "give one of 'to' and 'user_id'"),
        ({"to": None}, "give one of 'to' and 'user_id'"),
        ({"to": None, "user_id": "ada@example.com"}, "user_id: String should match pattern"),
        ({"expires_at": "2026-12-01T09:00:00"}, "expires_at: Input should have timezone info"),
        ({"locale": "english please"}, "locale: String should match pattern"),
        ({"on_unknown": "retry"}, "on_unknown: Input should be 'hold' or 'resend'"),
        ({"attachments": ["../etc/passwd"]}, "attachments.0: a storage key has no"),
        ({"attachments": ["a"] * 11}, "attachments: List should have at most 10 items"),
        ({"tmplate": "welcome"}, "tmplate: no such field; did you mean 'template'?"),
        (
            {"template": "password-reset"},
            "template 'password-reset' needs 'request_id'",
        ),
        (
            {"template": "notification", "data": {**NOTICE, "action_url": "javascript:alert(1)"}},
            "data.action_url: write a link that begins with https://",
        ),
    ],
)
def test_a_wrong_input_names_the_field_and_the_fix(changes: dict[str, Any], problem: str) -> None:
    given_ = {name: value for name, value in {**WELCOME, **changes}.items() if value is not None}
    if "template" in changes and changes["template"] is None:
        given_["template"] = None
    with pytest.raises(InvalidInputError) as caught:
        validate(Email, given_)
    assert problem in str(caught.value)


def test_a_user_brings_their_name_along() -> None:
    email = validate(Email, {"template": "welcome", "user_id": "ada"})
    assert (email.user_id, email.data) == ("ada", {})


def test_personal_data_are_not_shown() -> None:
    email = validate(Email, WELCOME)
    shown = redact(Email, email.model_dump(mode="json"))
    assert (shown["to"], shown["data"]) == ("***", "***")
    assert "ada@example.com" not in EMAIL.summarize(email)
    mailing = {**MAILING.example, "data": {"title": "Ada's News", "paragraphs": ["One"]}}
    shown = redact(Mailing, validate(Mailing, mailing).model_dump(mode="json"))
    assert (shown["recipients"], shown["data"]) == ("***", "***")


def test_an_international_domain_becomes_ascii() -> None:
    assert check_address("joerg@bücher.de") == "joerg@xn--bcher-kva.de"


LABEL = st.text("abcXYZ019-_", min_size=1, max_size=12)


@given(st.lists(LABEL, min_size=1, max_size=3), st.lists(LABEL, min_size=1, max_size=3))
def test_the_short_way_to_an_address_agrees_with_the_long_one(
    local: list[str], domain: list[str]
) -> None:
    address = f"{'.'.join(local)}@{'.'.join(domain)}.com"
    try:
        expected = validate_email(address, check_deliverability=False, strict=True).ascii_email
    except ValueError:
        with pytest.raises(ValueError, match="is no mail address"):
            check_address(address)
    else:
        assert check_address(address) == expected


def test_the_examples_are_valid() -> None:
    assert validate(Email, EMAIL.example).template == "welcome"
    recipients = validate(Mailing, MAILING.example).recipients
    assert recipients is not None
    assert [entry.user_id or entry.to for entry in recipients] == [
        "ada",
        "grace",
        "alan@example.com",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"recipients": None}, "give one of 'recipients', 'recipients_source' and 'query'"),
        ({"query": "all-users"}, "give one of 'recipients', 'recipients_source' and 'query'"),
        ({"recipients": []}, "recipients: List should have at least 1 item"),
        ({"recipients": ["a"] * 1001}, "recipients: List should have at most 1000 items"),
        ({"recipients": ["ada", "x@"]}, "recipients.1.to: is no mail address"),
        ({"recipients": None, "query": "everyone"}, "query: Input should be 'all-users'"),
        ({"template": "password-reset"}, "template: template 'password-reset' answers a request"),
        (
            {"template": "welcome", "data": {}, "recipients": ["a@example.com"]},
            "recipients.0.data.name: is required by template 'welcome'",
        ),
    ],
)
def test_a_wrong_mailing_names_the_field_and_the_fix(changes: dict[str, Any], problem: str) -> None:
    base = {**MAILING.example, **changes}
    with pytest.raises(InvalidInputError) as caught:
        validate(Mailing, {name: value for name, value in base.items() if value is not None})
    assert problem in str(caught.value)


TOKENS = MailTokens(b"one key" * 6)


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.:\-]{0,40}\Z"), st.emails())
def test_an_unsubscribe_token_means_list_and_recipient(list_name: str, address: str) -> None:
    token = TOKENS.unsubscribe_token(list_name, address)
    assert TOKENS.read_unsubscribe_token(token) == Unsubscription(
        list_name=list_name, address_hash=TOKENS.address_hash(address)
    )
    assert address not in token


@given(st.data())
def test_an_altered_unsubscribe_token_means_nothing(data: st.DataObject) -> None:
    token = TOKENS.unsubscribe_token("news", "ada@example.com")
    at = data.draw(st.integers(0, len(token) - 2))
    letter = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != token[at]))
    altered = token[:at] + letter + token[at + 1 :]
    assert TOKENS.read_unsubscribe_token(altered) is None
    assert MailTokens(b"another" * 6).read_unsubscribe_token(token) is None


@given(st.text(max_size=100))
def test_any_text_is_no_unsubscribe_token(text: str) -> None:
    assert TOKENS.read_unsubscribe_token(text) is None


def test_a_reset_token_is_the_same_for_the_same_request_only() -> None:
    first, again, other = (TOKENS.reset_token(name) for name in ("r1", "r1", "r2"))
    assert first == again != other
    assert len(first) == 43
    assert first not in reset_token_hash(first)


def test_an_expiry_with_offset_is_kept() -> None:
    email = validate(Email, {**WELCOME, "expires_at": "2026-12-01T09:00:00+02:00"})
    assert email.expires_at == datetime(2026, 12, 1, 7, tzinfo=UTC)
