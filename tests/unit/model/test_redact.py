"""What looks like a secret never reaches a report, a ledger or a journal: these are read, sent and kept for years."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model import redact as redaction
from backout.model.redact import MASK, redact, redact_value, redact_words

SECRET = "hunter2"
_FRAGMENTS = """
    password passwd pass pwd passphrase secret token credential api_key apikey auth_key private-key access_key Bearer
    basic curl mysql -u -p --user -- : = => _ https://u:pw@h ghp_ glpat- xoxb- AKIA AIza sk- rk_live_ SG. npm_ pypi- eyJ
    echo | <<< sudo -S htpasswd -b openssl zip -P useradd pw= SET FOR configure set vault login
    - . x hunter2hunter2hunter2 <token> </token> ABCDEFGHIJKLMNOP -----BEGIN PRIVATE KEY-----
"""
FRAGMENTS = [*_FRAGMENTS.split(), " ", "\n", *(chr(code) for code in (0xE9, 0x17F, 0x212A))]
"""The last two are an s and a k for whoever ignores case."""


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("password=hunter2", f"password={MASK}"),
        ("PGPASSWORD=hunter2 psql -h db shop", f"PGPASSWORD={MASK} psql -h db shop"),
        ("DB_PASS=hunter2", f"DB_PASS={MASK}"),
        ("export AWS_SECRET_ACCESS_KEY='hunter2'", f"export AWS_SECRET_ACCESS_KEY={MASK}"),
        ("SECRET_KEY = 'django-insecure hunter2'", f"SECRET_KEY = {MASK}"),
        ("password: str = 'hunter2'", f"password: {MASK}"),
        ("os.environ['API_KEY'] = 'hunter2'", f"os.environ['API_KEY'] = {MASK}"),
        ('{"user": "shop", "api_key": "hunter2"}', f'{{"user": "shop", "api_key": {MASK}}}'),
        ("user=shop password=hunter2 host=db", f"user=shop password={MASK} host=db"),
        ("https://shop/login?token=hunter2&next=/", f"https://shop/login?token={MASK}&next=/"),
        ("X-Api-Key: hunter2", f"X-Api-Key: {MASK}"),
    ],
)
def test_a_value_that_is_named_a_secret_is_masked_and_the_rest_can_be_read(text: str, redacted: str) -> None:
    """A report without its words helps nobody; a report with the password must not be sent to the client."""
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mysql --password=hunter2 -u root", f"mysql --password={MASK} -u root"),
        ("mysql --password hunter2 -u root", f"mysql --password {MASK} -u root"),
        ("tool -auth-key hunter2 now", f"tool -auth-key {MASK} now"),
        ("tool --token 'two hunter2' now", f"tool --token {MASK} now"),
        ('tool --token="two hunter2" now', f"tool --token={MASK} now"),
    ],
)
def test_an_option_that_is_named_a_secret_loses_its_value_alone(text: str, redacted: str) -> None:
    """The command line is in the ledger of every change, where colleagues read it."""
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("words", "redacted"),
    [
        (("tool", "--password", "hunter2", "-v"), ["tool", "--password", MASK, "-v"]),
        (("tool", "--password=hunter2"), ["tool", f"--password={MASK}"]),
        (("sh", "-c", "tool --token hunter2"), ["sh", "-c", f"tool --token {MASK}"]),
        (("curl", "-u", "admin:hunter2", "https://x"), ["curl", "-u", f"admin:{MASK}", "https://x"]),
        (("mysqldump", "-phunter2", "shop"), ["mysqldump", f"-p{MASK}", "shop"]),
        (("grep", "-p", "shop"), ["grep", "-p", "shop"]),
    ],
)
def test_a_command_is_masked_across_its_words(words: tuple[str, ...], redacted: list[str]) -> None:
    """A shell hands a program its option and the secret as two words; both are in the ledger for good."""
    assert redact_words(words) == redacted
    assert SECRET not in redact(" ".join(words))


TOKENS = {
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub, fine-grained": "github_pat_11ABCDEFG0" + "a1B2" * 15,
    "GitLab": "glpat-" + "a1-B2" * 4,
    "Slack": "xoxb-" + "123456789012-" * 2 + "a1B2c3",
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "Google": "AIza" + "a1B-2" * 7,
    "Stripe": "sk_live_" + "a1B2" * 6,
    "SendGrid": "SG." + "a1B2" * 5 + "." + "a1B2" * 10,
    "npm": "npm_" + "a1B2" * 9,
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" * 4,
    "1Password": "ops_" + "eyJ" + "a1B2" * 12,
    "age": "AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF" * 5 + "QPZRY9X8",
    "Atlassian": "ATATT3" + "xFfGF0" + "a1B2" * 12,
    "Databricks": "dapi" + "0123456789abcdef" * 2,
    "DigitalOcean": "dop_" + "v1_" + "0123456789abcdef" * 4,
    "Docker": "dckr_" + "pat_" + "a1B2" * 7,
    "GitLab, runners": "glrt-" + "t1_" + "a1B2" * 5,
    "Google, OAuth": "GOC" + "SPX-" + "a1B2" * 7,
    "Google, access": "ya29" + ".a0" + "a1B2" * 10,
    "Grafana": "glsa" + "_" + "a1B2" * 8 + "_" + "0123abcd",
    "HashiCorp Terraform": "a1B2c3D4e5F6g7" + ".atlasv1." + "a1B2" * 16,
    "HashiCorp Vault": "hvs" + ".CAESI" + "a1B2" * 20,
    "Hugging Face": "hf_" + "abCD" * 9,
    "Mailchimp": "0123456789abcdef" * 2 + "-us" + "14",
    "Mailgun": "key" + "-" + "0123456789abcdef" * 2,
    "Microsoft Entra": "a1B" + "8Q~" + "a1B2" * 8 + "cd",
    "New Relic": "NRAK" + "-" + "A1B" * 9,
    "OpenAI": "sk" + "-proj-" + "a1B2" * 10,
    "Sentry": "sntrys" + "_" + "eyJpYXQi" * 8,
    "Shopify": "shpat" + "_" + "0123456789abcdef" * 2,
    "Slack, applications": "xapp" + "-1-A0123-" + "123456789-" + "a1B2" * 8,
    "Square": "sq0" + "atp-" + "a1B2" * 5 + "cd",
    "Stripe, webhooks": "whsec" + "_" + "a1B2" * 8,
    "Tailscale": "tskey" + "-auth-" + "kA1b2C3CNTRL-" + "a1B2" * 8,
    "Telegram": "123456789" + ":AA" + "a1B2" * 8 + "c",
    "a password's hash": "$6" + "$saltsalt$" + "a1B2./" * 14,
    "a password's hash, yescrypt": "$y" + "$j9T$" + "saltsalt$" + "a1B2./" * 7,
    "a JSON Web Token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl",
}
"""Made up, in the shape that each issuer documents; put together here, so that no scanner takes them for real ones."""


@pytest.mark.parametrize("issuer", TOKENS)
def test_a_token_is_known_by_its_own_shape_wherever_it_stands(issuer: str) -> None:
    """Pasted into a note or printed by a tool, no name beside it says what it is."""
    assert redact(f"it said {TOKENS[issuer]}, then went on") == f"it said {MASK}, then went on"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (
            "post to https://hooks.slack.com/" + "services/T0/B0/xyz now",
            f"post to https://hooks.slack.com/services/{MASK} now",
        ),
        ("https://discord.com/api/" + "webhooks/1/xyz", f"https://discord.com/api/webhooks/{MASK}"),
        ("Cookie: session=hunter2; theme=dark", f"Cookie: {MASK}"),
        ("curl -H 'Cookie: session=hunter2' https://x", f"curl -H 'Cookie: {MASK}' https://x"),
        ("Authorization: Token hunter2", f"Authorization: Token {MASK}"),
        ("ALTER ROLE shop PASSWORD 'hunter2';", f"ALTER ROLE shop PASSWORD {MASK};"),
        ("CREATE USER a IDENTIFIED BY 'hunter2'", f"CREATE USER a IDENTIFIED BY {MASK}"),
        ("DefaultEndpointsProtocol=https;AccountKey=hunter2==", f"DefaultEndpointsProtocol=https;AccountKey={MASK}"),
        ("sshpass -p hunter2 ssh web1", f"sshpass -p {MASK} ssh web1"),
        ("redis-cli -a hunter2 ping", f"redis-cli -a {MASK} ping"),
        ("openssl rsa -passin pass:hunter2 -in k", f"openssl rsa -passin pass:{MASK} -in k"),
        ("ldapsearch -x -w hunter2 -b dc=x", f"ldapsearch -x -w {MASK} -b dc=x"),
        ("echo 'hunter2' | sudo -k -S systemctl restart x", f"echo {MASK} | sudo -k -S systemctl restart x"),
        ("sudo -S ls <<< hunter2", f"sudo -S ls <<< {MASK}"),
        ("echo root:hunter2 | chpasswd", f"echo {MASK} | chpasswd"),
        ("echo hunter2 | docker login -u x --password-stdin", f"echo {MASK} | docker login -u x --password-stdin"),
        ("mariadb -u root -phunter2 shop", f"mariadb -u root -p{MASK} shop"),
        ("useradd -m -p hunter2 bob", f"useradd -m -p {MASK} bob"),
        ("htpasswd -nb bob hunter2 > users", f"htpasswd -nb bob {MASK} > users"),
        ("openssl passwd -6 hunter2", f"openssl passwd -6 {MASK}"),
        ("zip -P hunter2 a.zip a", f"zip -P {MASK} a.zip a"),
        ("smbclient //nas/x -U bob%hunter2", f"smbclient //nas/x -U bob%{MASK}"),
        ("rabbitmqctl add_user bob hunter2", f"rabbitmqctl add_user bob {MASK}"),
        ("aws configure set aws_secret_access_key hunter2", f"aws configure set aws_secret_access_key {MASK}"),
        ("kubectl create secret x --from-literal=k=hunter2", f"kubectl create secret x --from-literal=k={MASK}"),
        ("vault login hunter2", f"vault login {MASK}"),
        ("SET PASSWORD FOR bob = 'hunter2'", f"SET PASSWORD FOR bob = {MASK}"),
        ("DB_PW=hunter2 pw=hunter2 ./run", f"DB_PW={MASK} pw={MASK} ./run"),
    ],
)
def test_what_tools_and_services_call_otherwise_is_masked_too(text: str, redacted: str) -> None:
    """These are what is typed and pasted while it burns; none of them is named a secret."""
    assert redact(text) == redacted


def test_the_end_of_an_output_that_begins_within_a_private_key_holds_nothing_of_it() -> None:
    """Only the end of a long output is kept, and a cut can fall anywhere."""
    end = "MIIhunter2\nabc\n-----END PRIVATE KEY-----"
    assert redaction.redact_end(f"{end}\nafter") == f"{MASK}\nafter"
    whole = f"before\n-----BEGIN PRIVATE KEY-----\n{end}\nafter"
    assert redaction.redact_end(whole) == redact(whole) == f"before\n{MASK}\nafter"


def test_an_element_that_is_named_a_secret_loses_its_text() -> None:
    """Settings of Java programs are XML."""
    assert redact('<password type="plain">hunter2</password><user>shop</user>') == (
        f'<password type="plain">{MASK}</password><user>shop</user>'
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "a\\"hunter2"}',
        "{'password': 'a\\'hunter2'}",
        'curl -d "{\\"password\\": \\"hunter2\\"}"',
        "password => 'hunter2',",
        "if password == 'hunter2':",
        "password: it's-hunter2",
        'password="hunter2',
        "postgres://shop:p@hunter2@db/shop",
    ],
)
def test_a_secret_is_masked_whole_however_it_is_quoted(text: str) -> None:
    """Half a password is a hint, and what follows an escaped quote is often nearly all of it."""
    assert SECRET not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgres://shop:hunter2@db:5432/shop", f"postgres://shop:{MASK}@db:5432/shop"),
        ("redis://:hunter2@cache/0", f"redis://:{MASK}@cache/0"),
        ("git+https://ghp_0123456789abcdefghij@github.com/a/b", f"git+https://{MASK}@github.com/a/b"),
        ("Authorization: Bearer abcdef.ghijkl-_mnop", f"Authorization: Bearer {MASK}"),
        ("authorization: basic c2hvcDpodW50ZXIy", f"authorization: basic {MASK}"),
    ],
)
def test_a_password_in_an_address_or_a_header_is_masked(text: str, redacted: str) -> None:
    """Pip, git and curl print the address that they could not reach, credentials and all."""
    assert redact(text) == redacted


@pytest.mark.parametrize("name", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_a_private_key_is_masked_from_its_first_line_to_its_last(name: str) -> None:
    """Each of its lines is harmless to look at, and together they open the server."""
    block = f"-----BEGIN {name}-----\nMIIhunter2\nabc\n-----END {name}-----"
    assert redact(f"before\n{block}\nafter") == f"before\n{MASK}\nafter"
    assert redact(block[:40]) == MASK, "cut short by a limit on output"


@pytest.mark.parametrize(
    "text",
    [
        "user=shop host=db port=5432",
        "PWD=/srv/shop OLDPWD=/root",
        "https://example.com:8000/a@b",
        "ssh://git@github.com/a/b",
        "the password was changed",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "secretstorage>=3.3",
        "workers = 4",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    """A report of masks is one that nobody reads, and then nobody sees the surprise in it."""
    assert redact(text) == text


SHAPES = ("token={}", "--secret {}", '"passwd": "{}"', "https://u:{}@h", "api_key => '{}'", "client_secret: {}")


@given(st.sampled_from(SHAPES), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9+=_-]{12,40}", fullmatch=True))
def test_no_value_of_a_secret_survives_any_of_the_usual_ways_to_write_it(shape: str, secret: str) -> None:
    """The shapes above are samples; it is the way of writing that is recognised, whatever the value."""
    assert redact(shape.format(secret)) in (shape.format(MASK), re.sub("[\"']{}[\"']", MASK, shape))


@pytest.mark.parametrize(
    "unit", ["a-", "a.b", "--a", "token-", "-", "x", "://a:", "password:'", "token ", "curl ", "ldapx "]
)
def test_a_very_long_line_is_read_in_the_time_of_one_look(unit: str) -> None:
    """A command may print a megabyte without a line end; backout must not stand still over it for hours."""
    started = time.process_time()
    redact(unit * (60_000 // len(unit)))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("key", ["password", "db.password", "SMTP_PASSWD", "stripe.api-key", "oauth.client_secret"])
def test_a_configuration_value_is_masked_by_the_last_part_of_its_key(key: str) -> None:
    """The value alone does not tell: hunter2 could be a host's name."""
    assert redact_value(key, SECRET) == MASK


def test_a_configuration_value_that_shows_itself_to_be_a_secret_is_masked_under_any_key() -> None:
    """DATABASE_URL is no secret by its name; the password within it is one."""
    assert redact_value("DATABASE_URL", "postgres://shop:hunter2@db/shop") == f"postgres://shop:{MASK}@db/shop"


@pytest.mark.parametrize("key", ["password.length", "workers", "server.name"])
def test_a_configuration_value_of_another_key_is_shown(key: str) -> None:
    """What has changed is what the operator came to see."""
    assert redact_value(key, "12") == "12"


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_what_is_not_looked_at_closely_holds_nothing_that_is_masked(text: str) -> None:
    """A glance decides which texts the patterns are tried on: one that it passes over must come out the same."""
    quick = redact(text), redact_words(text.split(" ")), redact_value(text, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_HINTS", ("",))
        assert (redact(text), redact_words(text.split(" ")), redact_value(text, text)) == quick
