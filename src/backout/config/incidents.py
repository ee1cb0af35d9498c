"""`[audiences]`, `[mail]` and `[[backups]]`: what an incident needs to know, each row to a value."""

from __future__ import annotations

from zoneinfo import ZoneInfoNotFoundError

from backout.config.guards import zone_of
from backout.config.nearest import did_you_mean
from backout.config.place import Path
from backout.config.table import Source, Table, found
from backout.config.values import Audience, Backup, Config
from backout.model import convert
from backout.model.convert import WantedError
from backout.model.mail import Mail

AUDIENCE_KEYS = ("to", "name", "first", "every", "checks", "environments", "zone")
MAIL_KEYS = ("server", "from", "user", "password_file", "password_env", "tls", "ca_file")
BACKUP_KEYS = ("name", "run", "environments", "restore_test", "max_age", "at_panic", "within")
TLS = ("starttls", "tls", "none")


def told(source: Source, top: Table, config: Config) -> Config:
    """Read who is told of an incident, how mail is sent, and which backups there are."""
    backups = tuple(_backup(source, *row, config) for row in top.rows("backups"))
    names = [backup.name for backup in backups]
    for name in names:
        if names.count(name) > 1:
            raise source.error(("backups",), f'has {names.count(name)} named "{name}"; a name must be unique.')
    return config._replace(
        audiences=tuple(_audience(source, *named, config) for named in top.tables("audiences")),
        mail=_mail(source, top["mail"]) if "mail" in top else Mail(),
        backups=backups,
    )


def _audience(source: Source, key: str, values: object, path: Path, config: Config) -> Audience:
    table, usual = Table(source, values, path, AUDIENCE_KEYS), Audience("", ())
    audience = Audience(
        key=key,
        to=table.need("to", convert.list_of(_target, least=1)),
        name=table.take("name", convert.text, key),
        first_s=table.take("first", convert.duration_s, usual.first_s),
        every_s=table.take("every", convert.duration_s, usual.every_s),
        checks=table.take("checks", convert.list_of(convert.text, least=1), ()),
        environments=_environments(source, table, config),
        zone=table.take("zone", _zone, ""),
    )
    known = tuple(check.name for environment in config.environments for check in environment.checks)
    for at, name in enumerate(audience.checks):
        if name not in known:
            problem = f"must name a check, not {found(name)}."
            raise source.error((*path, "checks", at), problem, did_you_mean(name, known))
    return audience


def _environments(source: Source, table: Table, config: Config) -> tuple[str, ...]:
    names = table.take("environments", convert.list_of(convert.text, least=1), ())
    known = tuple(environment.name for environment in config.environments)
    for at, name in enumerate(names):
        if name not in known:
            problem = f"must name an environment, not {found(name)}."
            raise source.error((*table.path, "environments", at), problem, did_you_mean(name, known))
    return names


def _mail(source: Source, values: object) -> Mail:
    table, usual = Table(source, values, ("mail",), MAIL_KEYS), Mail()
    mail = Mail(
        server=table.take("server", convert.text, usual.server),
        sender=table.take("from", convert.text, ""),
        user=table.take("user", convert.text, ""),
        password_file=table.take("password_file", convert.absolute_path, ""),
        password_env=table.take("password_env", convert.text, ""),
        tls=table.take("tls", convert.one_of(*TLS), usual.tls),
        ca_file=table.take("ca_file", convert.absolute_path, ""),
    )
    if mail.password_file and mail.password_env:
        raise source.error(("mail",), 'needs one of the keys "password_file" and "password_env", not both.')
    return mail


def _backup(source: Source, values: object, path: Path, config: Config) -> Backup:
    table, usual = Table(source, values, path, BACKUP_KEYS), Backup("", "")
    return Backup(
        name=table.need("name", convert.text),
        run=table.need("run", convert.text),
        environments=_environments(source, table, config),
        restore_test=table.take("restore_test", convert.text, None),
        max_age_s=table.take("max_age", convert.duration_s, None),
        at_panic=table.take("at_panic", convert.truth, default=False),
        within_s=table.take("within", convert.duration_s, usual.within_s),
    )


def _target(value: object) -> str:
    text = convert.text(value)
    scheme, colon, rest = text.partition(":")
    if not (colon and rest and scheme.replace("+", "").isalnum()) or (scheme == "mailto" and "@" not in rest):
        raise WantedError("an address such as mailto:ops@client.example or json://hooks.example/backout", value)
    return text


def _zone(value: object) -> str:
    text = convert.text(value)
    try:
        zone_of(text)
    except ZoneInfoNotFoundError:
        raise WantedError("a time zone such as Europe/Berlin", value) from None
    return text
