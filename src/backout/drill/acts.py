"""The five acts, each played for real, each ending in claims."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from backout.drill import claims
from backout.drill.aftermath import A_WEEK_S, later, learn
from backout.drill.change import Change, change_for
from backout.drill.claims import Act, Claim
from backout.drill.incident import met
from backout.drill.load import Load
from backout.drill.mailbox import Mailbox
from backout.drill.process import Done, run
from backout.drill.samples import outages
from backout.drill.shop import Shop
from backout.drill.world import (
    COPY,
    PRODUCTION,
    World,
    configure_pip,
    copy_shop,
    fingerprint,
    install_old_set,
    make_staging,
    make_virtualenv,
    version_of,
    write,
)
from backout.errors import FailedError

SETTLE_REQUESTS = 20
DOWN_REQUESTS = 60
UP_REQUESTS = 40
GOES_DOWN_WITHIN_S = 15.0
COMES_BACK_WITHIN_S = 30.0
"""A second of answers begins an act; three seconds without any mean that the site is down, two with that it is up."""
PACKAGES = ("setuptools", "flask", "werkzeug", "gunicorn")


class Teller(Protocol):
    """Who tells the person what is being done."""

    def act(self, title: str) -> None:
        """Say that an act begins."""

    def doing(self, what: str) -> None:
        """Say what is being done now."""

    def saw(self, what: str) -> None:
        """Say what was found out."""


class Stage(NamedTuple):
    """What all acts share: the world, how to call backout, and whom to tell."""

    world: World
    cli: tuple[str, ...]
    teller: Teller
    mailbox: Mailbox


def bare_way(stage: Stage) -> Act:
    """Act 1, on a copy of production: what happened to us. Tried on staging, dry-run, made, searched, mended."""
    world, teller = stage.world, stage.teller
    teller.act("Act 1: the bare way, on a copy of production")
    found = _on_staging(stage)
    shop = copy_shop(world, COPY)
    change = change_for(world, shop)
    found += _dry_run(stage, change)
    with Shop(shop) as running, Load(running.port) as load:
        load.until_answers(SETTLE_REQUESTS, COMES_BACK_WITHIN_S)
        teller.doing(f"making the change: {change.tool}")
        load.note("change made")
        done = run(change.command, world.environ())
        teller.saw(f"{change.tool} ended with exit code {done.exit_code}: it takes that for success")
        if load.until_fails(DOWN_REQUESTS, GOES_DOWN_WITHIN_S):
            teller.saw("the site is down: gunicorn starts with the new packages, and pkg_resources is gone")
            load.note("known fix begun")
            _known_fix(stage, shop)
            load.until_answers(UP_REQUESTS, COMES_BACK_WITHIN_S)
            load.note("answers again")
    found += claims.of_the_bare_way(done.exit_code, change.ok, load.seen(), running.log())
    return Act("the bare way", done.command, done.exit_code, load.seen(), found)


def refused(stage: Stage, shop: Shop) -> Act:
    """Act 2: the same command through backout, expecting the one setting."""
    stage.teller.act("Act 2: the same command through backout")
    change = change_for(stage.world, shop.folder)
    expected = [f"file:{shop.folder}/{claims.SETTING}", *([change.traces] if change.traces else [])]
    options = [part for selector in expected for part in ("--expect", selector)]
    before = fingerprint(shop.folder)
    done, load = _through_backout(stage, shop, options, change, "gunicorn needs a longer timeout")
    document = _document(done)
    unexpected = claims.surprises(document["effects"])
    stage.teller.saw(f"refused: {', '.join(unexpected[:3])}{' …' if len(unexpected) > 3 else ''}")  # noqa: PLR2004 - fits a line
    untouched = fingerprint(shop.folder) == before
    found = claims.of_the_refusal(done.exit_code, document["effects"], load.seen(), untouched=untouched)
    return Act("through backout", done.command, done.exit_code, load.seen(), found, unexpected)


def forced(stage: Stage, shop: Shop) -> Act:
    """Act 3: somebody says yes to everything, no check can see the harm before it is live, and the client is told."""
    stage.teller.act("Act 3: forced, and the harm only shows live")
    change = change_for(stage.world, shop.folder)
    before, begun_at = fingerprint(shop.folder), time.time()
    options = ["--after", f"{shop.folder}/shopctl restart"]
    done, load = _through_backout(stage, shop, options, change, "it has to be today", back_up=True)
    stage.teller.saw("the live check turned red, and backout took the change back")
    untouched = fingerprint(shop.folder) == before
    document = _document(done)
    found = claims.of_the_rescue(done.exit_code, document["checks"], load.seen(), untouched=untouched)
    change, seen = document["change"], load.seen()
    down = outages(seen.samples)
    if not down:
        return Act("forced", done.command, done.exit_code, seen, found, change=change)
    outage = claims.Outage(change, begun_at + down[0][0], begun_at + down[-1][1])
    spoken = met(stage.world, stage.cli, stage.mailbox, outage, stage.teller.doing)
    stage.teller.saw("the client had a first word, the last one, and a letter")
    return Act(
        "forced", done.command, done.exit_code, seen, (*found, *spoken.claims), change=change, letter=spoken.letter
    )


def split(stage: Stage, shop: Shop, change: str) -> Act:
    """Act 4: the check can look beforehand now; what of the forced change broke it is found, and the rest goes in."""
    stage.teller.act("Act 4: split, and the rest goes in")
    stage.teller.doing("the check learns to start the application in a rehearsal")
    write_config(stage, shop, looks_beforehand=True)
    with Load(shop.port) as load:
        load.until_answers(SETTLE_REQUESTS, COMES_BACK_WITHIN_S)
        stage.teller.doing(f"backout split -e {PRODUCTION} {change}")
        apart = _backout(stage, load, ["split", "-e", PRODUCTION, change])
        found = _document(apart, "backout.split/1")
        parts = claims.parts(found["parts"])
        stage.teller.saw(f"after {found['trials']} trials: {'; '.join(parts)}")
        if found["rest"] is None:
            raise FailedError(f"backout split left no rest to apply: {'; '.join(found['limits'])}")
        rest = found["rest"]["change"]
        stage.teller.doing(f"backout run -e {PRODUCTION} --change {rest}")
        words = ["run", "-e", PRODUCTION, "--change", rest, "--yes", "--after", f"{shop.folder}/shopctl reload"]
        done = _backout(stage, load, [*words, "--why", "all but what breaks it"])
        load.until_answers(UP_REQUESTS, COMES_BACK_WITHIN_S)
        served = shop.served_flask()
    stage.teller.saw(f"the shop answers on flask {served}")
    document = _document(done)
    held = claims.of_the_split(
        parts, done.exit_code, document["effects"], load.seen(), at_last=(version_of(shop.folder, "flask"), served)
    )
    command = f"{apart.command} && {done.command}"
    return Act("split", command, done.exit_code, load.seen(), held, change=document["change"], parts=parts)


def learned(stage: Stage, shop: Shop) -> Act:
    """Act 5: the review leaves a guard that is proven; a week later somebody makes the same change once more."""
    stage.teller.act("Act 5: the review, and the same command a week later")
    after = learn(stage.world, stage.mailbox, stage.teller.doing)
    stage.teller.saw(f"the guard {after.guard} is proven, and the client was told what it keeps away")
    change, before = change_for(stage.world, shop.folder), fingerprint(shop.folder)
    options = ["--after", f"{shop.folder}/shopctl restart"]
    done, load = _through_backout(
        stage._replace(cli=later(A_WEEK_S)), shop, options, change, "a longer timeout, once more"
    )
    document, untouched = _document(done), fingerprint(shop.folder) == before
    stage.teller.saw(f"refused by {after.guard}")
    guards = document.get("guards", [])
    found = claims.of_a_week_later(done.exit_code, guards, after.guard, load.seen(), untouched=untouched)
    return Act("a week later", done.command, done.exit_code, load.seen(), (*after.claims, *found), letter=after.letter)


def write_config(stage: Stage, shop: Shop, *, looks_beforehand: bool = False) -> None:
    """Write the backout.toml of the drill; with `looks_beforehand`, its check starts the shop in a rehearsal, too."""
    choice = {"not_yet": "", "within": "30s"} if looks_beforehand else {"not_yet": "# ", "within": "5s"}
    ports = {"port": str(shop.port), "mail": str(stage.mailbox.port)}
    write(stage.world.folder, "backout.toml", shop.folder, **ports, **choice)


def _on_staging(stage: Stage) -> tuple[Claim, ...]:
    stage.teller.doing("trying the change on staging first")
    shop = make_staging(stage.world)
    before = [version_of(shop, package) for package in PACKAGES]
    change = change_for(stage.world, shop)
    with Shop(shop) as running:
        done = run(change.command, stage.world.environ())
        answering = running.answers_soon()
    after = [version_of(shop, package) for package in PACKAGES]
    stage.teller.saw("staging took it without harm: it was not the same as production")
    return (
        Claim("on staging the change succeeded", done.exit_code in change.ok),
        *claims.of_staging(before, after, answers=answering),
    )


def _dry_run(stage: Stage, change: Change) -> tuple[Claim, ...]:
    if change.noop is None:
        stage.teller.saw("Puppet is not installed: a shell script makes the same change; it has no dry run")
        return ()
    stage.teller.doing("asking Puppet what it would do: puppet apply --noop")
    done = run(change.noop, stage.world.environ())
    said = next((line for line in done.output.splitlines() if "Exec[packages]" in line), "nothing of the packages")
    stage.teller.saw(f"Puppet says: {said.strip()}")
    return claims.of_the_dry_run(done.output)


def _known_fix(stage: Stage, shop: str) -> None:
    stage.teller.doing("the known fix: the old virtualenv moved aside, a fresh one built")
    shutil.move(os.path.join(shop, "venv"), os.path.join(shop, "venv.broken"))
    make_virtualenv(stage.world, shop)
    configure_pip(stage.world, shop)
    install_old_set(stage.world, shop)


def _through_backout(
    stage: Stage, shop: Shop, options: Sequence[str], change: Change, why: str, *, back_up: bool = False
) -> tuple[Done, Load]:
    """Run the change through the command line under requests; with `back_up`, wait until the shop answers again."""
    accepted = ",".join(str(code) for code in change.ok)
    words = ["run", "-e", PRODUCTION, *options, "--yes", "--ok-exit", accepted, "--why", why, "--", *change.command]
    with Load(shop.port) as load:
        load.until_answers(SETTLE_REQUESTS, COMES_BACK_WITHIN_S)
        stage.teller.doing(f"backout run -e {PRODUCTION} {' '.join(options[:2])} … -- {change.tool}")
        done = _backout(stage, load, words)
        if back_up:
            load.until_answers(UP_REQUESTS, COMES_BACK_WITHIN_S)
    return done, load


def _backout(stage: Stage, load: Load, words: Sequence[str]) -> Done:
    """Call the command line while requests are sent, and note when it began and ended."""
    config = os.path.join(stage.world.folder, "backout.toml")
    load.note(f"backout {words[0]}")
    done = run([*stage.cli, "--json", "--config", config, *words], stage.world.environ())
    load.note(claims.ENDED)
    return done


def _document(done: Done, schema: str = "backout.effects/1") -> dict[str, Any]:
    """Read what backout printed; a FailedError shows it when it is not the document that its `--json` promises."""
    try:
        document = json.loads(done.output)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("schema") != schema:
        said = (done.output + done.errors).strip()[-2000:]
        raise FailedError(f"backout exited {done.exit_code} without its document: {done.command}\n{said}")
    return document
