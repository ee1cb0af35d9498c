"""Services: what starts at boot, and what was asked of the service manager."""

from __future__ import annotations

import pytest

from backout.model.service import ServiceRequest, ServiceState
from kit.trees import DIR, Entry, TreeView, accounted, link, named

WANTS = "/etc/systemd/system/multi-user.target.wants"
UNIT = "/lib/systemd/system/shop.service"
RUNNING = {"shop.service": ServiceState(enabled=True, active=True)}


def test_an_enabled_unit_is_one_effect_with_its_folder_and_debians_notes() -> None:
    """A person asked for a service at boot, not for a link, a folder and a file of notes."""
    helper = "/var/lib/systemd/deb-systemd-helper-enabled"
    after: dict[str, Entry] = {
        WANTS: DIR,
        f"{WANTS}/shop.service": link(UNIT),
        f"{helper}/shop.service.dsh-also": f"{WANTS}/shop.service\n".encode(),
        f"{helper}/multi-user.target.wants/shop.service": b"",
        "/etc/systemd/system/store.service": link(UNIT),
        f"{helper}/store.service": b"",
    }
    meaning = accounted(TreeView({}, after))
    before = {"enabled": False, "active": None}
    assert named(meaning) == {"service:shop.service": ("edited", before, {"enabled": True, "active": None})}
    assert len(meaning.effects[0].paths) == 6
    assert not meaning.effects[0].predicted


def test_a_unit_wanted_by_two_targets_is_still_enabled_when_one_link_goes() -> None:
    """Half a disable is none."""
    other = "/etc/systemd/system/graphical.target.wants/shop.service"
    before: dict[str, Entry] = {f"{WANTS}/shop.service": link(UNIT), other: link(UNIT)}
    after = named(accounted(TreeView(before, {other: link(UNIT)})))["service:shop.service"][2]
    assert after == {"enabled": True, "active": None}


def test_a_masked_unit_says_so() -> None:
    """A masked unit cannot even be started by hand."""
    view = TreeView({}, {"/etc/systemd/system/shop.service": link("/dev/null")}, services=RUNNING)
    _, before, after = named(accounted(view))["service:shop.service"]
    assert before == {"enabled": True, "active": True, "masked": False}
    assert after == {"enabled": False, "active": True, "masked": True}


def test_a_unit_file_stays_a_file() -> None:
    """Its text is what matters, and it has a diff."""
    path = "/etc/systemd/system/shop.service"
    assert list(named(accounted(TreeView({path: b"[Unit]\n"}, {path: b"[Unit]\nx=1\n"})))) == [f"file:{path}"]


@pytest.mark.parametrize("there", [b"not a link", link("/srv/elsewhere/thing")])
def test_what_only_lies_where_a_link_would_stays_a_file(there: bytes) -> None:
    """Systemd follows links alone in these folders; anything else there is odd, and shown."""
    path = "/etc/systemd/system/shop.service"
    assert list(named(accounted(TreeView({}, {path: there})))) == [f"file:{path}"]


def test_runlevel_links_are_the_service_of_that_name() -> None:
    """Packages with an init script only are enabled by these."""
    after: dict[str, Entry] = {
        f"/etc/rc{level}.d/{kind}01shop": link("../init.d/shop") for level, kind in (("2", "S"), ("0", "K"))
    }
    told = named(accounted(TreeView({}, after)))
    assert told == {
        "service:shop.service": ("edited", {"enabled": False, "active": None}, {"enabled": True, "active": None})
    }


def test_requests_are_told_in_order_with_what_they_lead_to() -> None:
    """They are carried out after the apply: predicted, because nobody knows yet whether the unit will start."""
    asked = (ServiceRequest("stop", "shop.service"), ServiceRequest("", "")._replace(action="daemon-reload"))
    view = TreeView({}, {}, requests=(*asked, ServiceRequest("start", "shop.service")), services=RUNNING)
    effect = accounted(view).effects[0]
    assert (effect.op, effect.predicted, effect.paths) == ("requested", True, ())
    assert effect.after == {"enabled": True, "active": True, "requests": ["stop", "daemon-reload", "start"]}


@pytest.mark.parametrize(
    ("action", "active", "after"),
    [("stop", True, False), ("restart", False, True), ("reload", True, True), ("try-restart", False, False)],
)
def test_each_request_predicts_whether_the_unit_runs(action: str, active: bool, after: bool) -> None:
    """try-restart and reload never start what is stopped."""
    known = {"shop.service": ServiceState(active=active)}
    view = TreeView({}, {}, requests=(ServiceRequest(action, "shop.service"),), services=known)
    assert named(accounted(view))["service:shop.service"][2]["active"] is after  # type: ignore[index]


def test_a_request_to_the_manager_alone_is_still_told() -> None:
    """Nothing that was asked for is dropped."""
    view = TreeView({}, {}, requests=(ServiceRequest("daemon-reload", ""),))
    assert list(named(accounted(view))) == ["service:systemd"]
