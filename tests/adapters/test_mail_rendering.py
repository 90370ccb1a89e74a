"""The shipped templates, as receivers get them."""

import base64
import shutil
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.mail_rendering import DkimSigner, MailComposer
from jobs.emails import EmailNotComposed, Letter, MailTemplateMissing
from jobs.templates import TEMPLATES
from tests.mails import TEMPLATES as FOLDER
from tests.mails import composer

SAMPLES: dict[str, dict[str, Any]] = {
    "welcome": {"name": "Ada <b>"},
    "password-reset": {"name": "Ada"},
    "notification": {
        "name": "Ada",
        "title": "Invoice 7",
        "message": "First line\nsecond & last",
        "facts": {"Amount": "€ 7"},
        "action_url": "https://app.example.com/7?a=1&b=2",
        "action_label": "Open",
    },
    "reminder": {"message": "Call the bank\nbefore noon"},
    "newsletter": {"title": "News", "paragraphs": ["One", "Two"], "name": "Ada"},
    "report-ready": {
        "title": "Sales",
        "period": "1 to 7 November 2026",
        "figures": {"Orders": "7"},
        "files": {"PDF": "https://app.example.com/f.pdf"},
    },
}
LINK_END = "tok"
MADE_BY_THE_STEP = {
    "password-reset": {"reset_url": "https://app.example.com/r?token=t", "valid_until": "14:30"}
}


def letter(template: str, locale: str = "en", **fields: Any) -> Letter:
    variables = TEMPLATES[template].data.model_validate(SAMPLES[template]).model_dump(mode="json")
    return replace(
        Letter(
            to="ada@example.com",
            template=template,
            locale=locale,
            variables={**variables, **MADE_BY_THE_STEP.get(template, {})},
            message_id="<abc.job@example.com>",
            timestamp=1_795_510_800.0,
        ),
        **fields,
    )


def parsed(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def text_of(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("template", list(TEMPLATES))
def test_every_template_has_both_texts_with_every_variable(template: str, locale: str) -> None:
    message = parsed(composer().build(letter(template, locale)))
    text, html = text_of(message, "plain"), text_of(message, "html")

    assert message["Subject"]
    assert "{{" not in text + html
    assert "</html>" in html
    assert f'lang="{locale}"' in html
    for value in spoken(SAMPLES[template]):
        assert value.splitlines()[-1] in text
        assert value.splitlines()[-1].replace("&", "&amp;").replace("<", "&lt;").replace(
            ">", "&gt;"
        ) in html.replace("&#34;", '"')


def spoken(sample: dict[str, Any]) -> list[str]:
    """Return every text in a sample."""
    found: list[str] = []
    for value in sample.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += value
        else:
            found += [*value, *value.values()]
    return found


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_what_a_template_may_lack_it_can_do_without(template: str) -> None:
    model = TEMPLATES[template].data
    required = {
        name: value
        for name, value in SAMPLES[template].items()
        if model.model_fields[name].is_required()
    }
    variables = model.model_validate(required).model_dump(mode="json")
    bare = letter(template, variables={**variables, **MADE_BY_THE_STEP.get(template, {})})
    assert "None" not in text_of(parsed(composer().build(bare)), "plain")


def test_a_locale_without_templates_falls_back_to_its_language_then_to_english() -> None:
    subjects = [
        parsed(composer().build(letter("welcome", locale)))["Subject"]
        for locale in ("de-AT", "fr-FR", "en-GB")
    ]
    assert [subject.split()[0] for subject in subjects] == ["Willkommen", "Welcome", "Welcome"]


def test_a_missing_variable_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(EmailNotComposed, match=r"template 'welcome' \(en\): 'name' is undefined"):
        composer().build(letter("welcome", variables={"action_url": None}))


@pytest.mark.parametrize("suffix", ["mjml", "txt"])
def test_a_missing_file_of_a_template_is_named_and_found_once_it_is_back(
    tmp_path: Path, suffix: str
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "mail")
    file = folder / "en" / f"welcome.{suffix}"
    text = file.read_text()
    file.unlink()
    composing = MailComposer(folder, sender="jobs@example.com", product="Conveyor", public_url="")
    with pytest.raises(MailTemplateMissing, match=rf"the file 'en/welcome\.{suffix}' is missing"):
        composing.build(letter("welcome"))
    file.write_text(text)
    assert composing.build(letter("welcome"))


def test_a_broken_template_fails_the_job(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "mail")
    with (folder / "en" / "welcome.txt").open("a") as file:
        file.write("{% if %}")
    composing = MailComposer(folder, sender="jobs@example.com", product="Conveyor", public_url="")
    with pytest.raises(EmailNotComposed, match=r"template 'welcome' \(en\): "):
        composing.build(letter("welcome"))


def test_a_template_can_not_reach_into_python() -> None:
    sneaky = composer()
    template = sneaky._html.from_string("{{ ''.__class__.__mro__ }}")
    with pytest.raises(Exception, match="is unsafe"):
        template.render()


def test_bulk_mail_carries_the_headers_of_a_list() -> None:
    news = letter("newsletter", list_name="news", unsubscribe_token=LINK_END)
    message = parsed(composer().build(news))

    assert message["List-Unsubscribe"] == "<https://app.example.com/v1/unsubscribe/tok>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Precedence"] == "bulk"
    assert "https://app.example.com/v1/unsubscribe/tok" in text_of(message, "plain")


def test_a_sender_with_letters_outside_ascii_is_encoded() -> None:
    german = MailComposer(
        FOLDER, sender="Bücher & Söhne <jobs@example.com>", product="x", public_url="https://x.test"
    )
    content = german.build(letter("welcome"))
    assert content.partition(b"\r\n\r\n")[0].isascii()
    assert parsed(content)["From"].addresses[0].display_name == "Bücher & Söhne"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


async def test_a_signature_covers_message_and_list_headers(key: rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    signing = MailComposer(
        FOLDER,
        sender="Conveyor <jobs@example.com>",
        product="Conveyor",
        public_url="https://app.example.com",
        signer=DkimSigner("s1", "example.com", pem),
    )
    content = await signing.compose(
        letter("newsletter", list_name="news", unsubscribe_token=LINK_END)
    )
    head = content.partition(b"\r\nFrom:")[0]

    assert dkim.verify(content, dnsfunc=published(key))
    assert not dkim.verify(content.replace(b"/tok>", b"/evil>"), dnsfunc=published(key))
    assert b"list-unsubscribe-post" in head.replace(b"\r\n ", b"")


def published(key: rsa.RSAPrivateKey) -> Callable[..., bytes]:
    """Return the DNS as it shows the key."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    return lambda name, timeout=5: record


async def test_a_key_that_is_none_names_its_setting() -> None:
    broken = MailComposer(
        FOLDER,
        sender="jobs@example.com",
        product="x",
        public_url="https://x.test",
        signer=DkimSigner("s1", "example.com", "no key"),
    )
    with pytest.raises(EmailNotComposed, match="CONVEYOR_DKIM_KEY"):
        await broken.compose(letter("welcome"))
