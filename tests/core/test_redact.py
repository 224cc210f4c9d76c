import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace.redact import REDACTED, redact_secrets

SECRETS = [
    "sk-proj-Zx81kd93jd02kd93jd72",
    "sk-ant-api03-AbCdEf123456-7890_xyz",
    "sk-abcdefghijklmnopqrstuvwxyz",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "xoxb-123456789012-1234567890123-AbCdEfGhIjKl",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "glpat-AbCdEfGh12345678-_ab",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
]

ORDINARY = [
    "The task-oriented, risk-averse desk-clerk walked to the disk-utility-2000.",
    "sk-learn-extensions-package is a package",
    "He was the bearer of bad news, and the bearer certificates are void.",
    "The password: must be at least eight characters long.",
    "top secret: the plan",
    "def connect(api_key: str, password: str = None) -> None: ...",
    "client = OpenAI(api_key=os.getenv('OPENAI_API_KEY'))",
    "client = OpenAI(api_key=settings.api_key)",
    '{"token": "Hello", "logprob": -0.1}',
    '{"input_tokens": 1500, "output_tokens": 20, "max_tokens": 4096}',
    '{"password": null, "api_key": "", "secret": true}',
    '{"password": {"type": "string", "minLength": 8}}',
    "see http://localhost:8080/@scope/package and https://example.org:443/a@b",
    "550e8400-e29b-41d4-a716-446655440000",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "x = compute(authorization_level) # secretary",
    "İstanbul'un nüfusu: 15 milyon",
    "",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "frame", ["{}", "my key is {}, keep it", "{}\n", "URL?key={}&x=1", "'{}'", "line\n{}\nline"]
)
def test_known_keys_and_tokens_are_taken_out_wherever_they_stand(secret: str, frame: str) -> None:
    text = frame.format(secret)

    assert redact_secrets("output", text) == frame.format(REDACTED)


@pytest.mark.parametrize("secret", SECRETS)
def test_they_are_found_inside_json_after_an_escape(secret: str) -> None:
    text = json.dumps({"text": f"first line\n{secret}\ttab"})

    assert json.loads(redact_secrets("output", text)) == {"text": f"first line\n{REDACTED}\ttab"}


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redact_secrets("output", text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc123def", "Authorization: [redacted]"),
        ("Authorization: Basic dXNlcjpwYXNz\nHost: x", "Authorization: [redacted]\nHost: x"),
        ("curl -H 'X-Api-Key: 12ab34cd' url", "curl -H 'X-Api-Key: [redacted]' url"),
        ("send Bearer abc.def-123 now", "send Bearer [redacted] now"),
        ("password=hunter2&user=x", "password=[redacted]&user=x"),
        ("OPENAI_API_KEY=foo-1", "OPENAI_API_KEY=[redacted]"),
        ("PASSWORD: hunter2", "PASSWORD: [redacted]"),
        ("{'password': 'hunter2'}", "{'password': '[redacted]'}"),
        ('clientSecret: "abc"', 'clientSecret: "[redacted]"'),
        ('{"pin": 1, "password": 12345}', '{"pin": 1, "password": "[redacted]"}'),
        ('{"authorization":["Bearer abc123def456"]}', '{"authorization":["Bearer [redacted]"]}'),
        ('{"access_token": "short"}', '{"access_token": "[redacted]"}'),
        ('{"token": "9f86d081884c7d65"}', '{"token": "[redacted]"}'),
        ("postgres://user:p4ss@host/db", "postgres://user:[redacted]@host/db"),
        ("ChatOpenAI(api_key=SecretStr('abc'))", "ChatOpenAI(api_key=SecretStr('[redacted]'))"),
        ("İİİ password=hunter2", "İİİ password=[redacted]"),
    ],
)
def test_values_are_taken_out_by_the_name_before_them(text: str, clean: str) -> None:
    assert redact_secrets("output", text) == clean


def test_a_private_key_goes_also_where_its_end_was_cut_off() -> None:
    begin, end = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"

    assert redact_secrets("x", f"{begin}\nMIIE\n{end} ok") == f"{begin}{REDACTED}{end} ok"
    assert redact_secrets("x", f"{begin}\nMIIE") == f"{begin}{REDACTED}"


@pytest.mark.parametrize("name", ["http.request.header.authorization", "api_key", "x.db_password"])
def test_an_attribute_whose_own_name_says_secret_is_hidden_whatever_it_holds(name: str) -> None:
    assert redact_secrets(name, "abc") == REDACTED


VALUES = st.text(min_size=1).filter(lambda text: not text.startswith(REDACTED))


@given(VALUES, st.integers(0, 3))
def test_a_password_in_json_goes_however_deep_the_json_is_nested(value: str, depth: int) -> None:
    text = json.dumps({"password": value, "after": "kept"})
    for _ in range(depth):
        text = json.dumps(text)

    clean = redact_secrets("output", text)
    for _ in range(depth):
        clean = json.loads(clean)

    assert json.loads(clean) == {"password": REDACTED, "after": "kept"}


@given(st.sampled_from(SECRETS), st.text(), st.text())
def test_no_surroundings_save_a_key(secret: str, before: str, after: str) -> None:
    text = f"{before} {secret} {after}"

    assert secret not in redact_secrets("output", text)


@given(st.text(alphabet=string.printable))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact_secrets("output", text)

    assert redact_secrets("output", once) == once


FRAGMENTS = st.sampled_from(
    [
        *("password", "api_key", "token", "Authorization", "Bearer ", "sk-", "eyJ", "://", "a:b@"),
        *('"', "'", "\\", "\\\\", ":", "=", " ", "\n", "{", "}", ",", "$", "x1", "-----BEGIN "),
        *("PRIVATE KEY-----", "SecretStr(", "[redacted]", "null", "…", "é"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_odd_mixtures_of_what_it_looks_for_are_survived_and_stable(text: str) -> None:
    once = redact_secrets("output", text)

    assert redact_secrets("output", once) == once


@given(st.text(alphabet=string.ascii_letters + " .,;!?\n", max_size=300))
def test_prose_without_signs_is_never_touched(text: str) -> None:
    words = " ".join(word for word in text.split(" ") if len(word) < 12)

    assert redact_secrets("output", words) == words
