"""Who is told, how, and which backups there are, as backout.toml says it."""

from __future__ import annotations

import pytest

from backout.config.parse import parse
from backout.config.values import Audience, Backup
from backout.errors import ConfigError
from backout.model.mail import Mail

HOSTS = '[environments.production]\nhosts = ["local"]\nchecks = [{ name = "answers", run = "true" }]\n'


def test_everything_of_an_incident_is_read() -> None:
    """Each key has its place in a value."""
    text = HOSTS + (
        '[audiences.client]\nto = ["mailto:ops@client.example", "json://hooks.example/x"]\nname = "Client Ltd"\n'
        'first = "3m"\nevery = "20m"\nchecks = ["answers"]\nenvironments = ["production"]\nzone = "Europe/Berlin"\n'
        '[mail]\nserver = "mail.example:587"\nfrom = "ops@us.example"\nuser = "ops"\npassword_env = "PW"\ntls = "tls"\n'
        'ca_file = "/etc/ca.pem"\n'
        '[[backups]]\nname = "db"\nrun = "pg_dump"\nrestore_test = "true"\nmax_age = "24h"\nat_panic = true\n'
    )
    config = parse(text)
    to = ("mailto:ops@client.example", "json://hooks.example/x")
    assert config.audiences == (
        Audience("client", to, "Client Ltd", 180.0, 1200.0, ("answers",), ("production",), "Europe/Berlin"),
    )
    assert config.mail == Mail("mail.example:587", "ops@us.example", "ops", "", "PW", "tls", "/etc/ca.pem")
    assert config.backups == (Backup("db", "pg_dump", (), "true", 86400.0, at_panic=True),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[audiences.client]\nto = ["ops"]\n', "audiences.client.to must be a list in which each item is an address"),
        ("[audiences.client]\n", 'audiences.client needs the key "to"'),
        ('[audiences.c]\nto = ["mailto:a@b"]\nchecks = ["answer"]\n', 'must name a check, not "answer"'),
        ('[audiences.c]\nto = ["mailto:a@b"]\nzone = "Berlin"\n', "must be a time zone such as Europe/Berlin"),
        ('[mail]\npassword_file = "/a"\npassword_env = "B"\n', 'needs one of the keys "password_file"'),
        ('[[backups]]\nname = "a"\nrun = "b"\n[[backups]]\nname = "a"\nrun = "b"\n', "a name must be unique"),
        ('[[backups]]\nname = "a"\nrun = "b"\nenvironments = ["prod"]\n', 'must name an environment, not "prod"'),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    """What is found out in an incident is found out too late."""
    with pytest.raises(ConfigError) as error:
        parse(HOSTS + text)
    assert message in error.value.what
