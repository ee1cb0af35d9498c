"""The stand-ins for the service tools, in a real overlay, over hosts with and without real systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

Host = Any  # conftest's; pytest's importlib mode gives tests no name to import it by

VENDOR_UNIT = "[Unit]\\nDescription=New\\n[Service]\\nExecStart=/bin/sleep 5\\n[Install]\\nWantedBy=test.target\\n"


def test_what_acts_on_processes_is_recorded_in_order_and_done_to_none(systemd_host: Host) -> None:
    """Law 1: a rehearsal that restarted the live service would be the outage that it should prevent."""
    pid = systemd_host.run("systemctl", "show", "--value", "-p", "MainPID", "probe")
    view = systemd_host.view()
    view.run("systemctl restart probe; systemctl --no-block reload probe.service")
    view.run("/bin/systemctl stop probe; systemctl -q start probe")
    view.run("systemctl kill -s HUP probe; service probe restart; systemctl daemon-reload; systemctl restart 'pro*'")
    assert view.requests() == [
        "restart probe.service", "reload probe.service", "stop probe.service", "start probe.service",
        "kill:HUP probe.service", "restart probe.service", "daemon-reload", "restart probe.service",
    ]  # fmt: skip
    assert view.clean() == ""
    assert systemd_host.run("systemctl", "show", "--value", "-p", "MainPID", "probe") == pid


def test_answers_follow_the_requests_made_so_far(systemd_host: Host) -> None:
    """A playbook that starts a service and then looks whether it runs would fail in the rehearsal alone."""
    view = systemd_host.view()
    assert view.run("systemctl is-active probe") == "active\n"
    assert view.run("systemctl stop probe; systemctl is-active probe", code=3) == "inactive\n"
    assert view.run("systemctl show -p ActiveState,MainPID probe") == "MainPID=0\nActiveState=inactive\n"
    view.run("systemctl status probe", code=3)
    assert view.run("systemctl start probe; systemctl show -P ActiveState probe") == "active\n"
    assert "probe.service loaded active running A service for a test" in view.run("systemctl list-units --type=service")


@pytest.mark.parametrize(
    "question",
    [
        *("is-active probe", "is-active nope", "is-active probe stopped", "-q is-active stopped", "is-failed probe"),
        *("is-enabled probe", "is-enabled masked", "is-system-running", "get-default", "--version", "list-jobs"),
        *("start nope", "stop nope", "restart nope", "reload stopped", "reload idle", "start masked", "status nope"),
        *("show --value -p LoadState nope", "show -p FragmentPath stopped", "show -p LoadState masked"),
        *("show -p Id,LoadState,ActiveState,SubState,UnitFileState probe", "show -p CanReload probe"),
        *("cat probe", "list-unit-files probe.service"),
    ],
)
def test_the_stand_in_answers_as_the_real_tool_does(systemd_host: Host, question: str) -> None:
    """What Puppet and Ansible read decides what they write; the promoted bytes would be wrong (traps A8)."""
    systemd_host.write("/etc/systemd/system/stopped.service", "[Service]\nExecStart=/bin/true\n")
    systemd_host.write("/etc/systemd/system/idle.service", "[Service]\nExecStart=/bin/true\nExecReload=/bin/true\n")
    systemd_host.run("ln", "-sf", "/dev/null", "/etc/systemd/system/masked.service")
    systemd_host.run("systemctl", "daemon-reload")
    asked = f"systemctl --no-pager {question}; echo $?"
    view = systemd_host.view()
    real = [line for line in systemd_host.run("sh", "-c", asked).splitlines() if line]
    assert [line for line in view.run(asked).splitlines() if line] == real


def test_links_are_made_by_the_real_tool_and_the_manager_is_told(systemd_host: Host) -> None:
    """`enable` is files, and files are what a rehearsal can show and take back exactly (traps A9)."""
    view = systemd_host.view()
    view.run(
        f"printf '{VENDOR_UNIT}' >/usr/lib/systemd/system/new.service; systemctl enable --now new; systemctl mask new"
    )
    assert view.requests() == ["daemon-reload", "start new.service", "daemon-reload"]
    assert view.run("systemctl is-enabled new; systemctl start new", code=1).splitlines()[0] == "masked"


def test_a_maintainer_script_runs_as_in_a_normal_install(systemd_host: Host, packages: Path) -> None:
    """Its scripts go through deb-systemd-invoke and deb-systemd-helper, which are not replaced under systemd."""
    view = systemd_host.view(packages)
    view.run("systemctl enable cron; dpkg -i /tmp/debs/cron_*.deb")
    assert "restart cron.service" in view.requests()


def test_policy_rc_d_is_respected(systemd_host: Host, sysv_host: Host) -> None:
    """Where the operator forbids services to start, a normal install starts none; so does a rehearsed one."""
    deny = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; "
    view = systemd_host.view()
    view.run(deny + "deb-systemd-invoke start probe.service; invoke-rc.d probe restart")
    assert view.requests() == []
    view = sysv_host.view()
    view.run(deny + "invoke-rc.d nginx start")
    view.run("invoke-rc.d --disclose-deny nginx start", code=101)
    assert view.requests() == []


def test_only_root_can_ask_the_system_manager(systemd_host: Host) -> None:
    """What a daemon's user writes into a rehearsal must not be carried out by root afterwards."""
    view = systemd_host.view()
    said = view.run("setpriv --reuid nobody --clear-groups systemctl restart probe", code=1)
    assert said == "Failed to restart probe.service: Interactive authentication required.\n"
    view.run(
        "setpriv --reuid nobody --clear-groups sh -c 'echo restart probe.service >>/dev/.backout/requests'", code=2
    )
    assert view.requests() == []


def test_the_machine_is_not_shut_down(systemd_host: Host) -> None:
    """In a view there is nothing to shut down, and no one wants it done right after an apply."""
    view = systemd_host.view()
    for command in ("systemctl reboot", "reboot", "/sbin/poweroff", "shutdown -h now"):
        assert "not rehearsed" in view.run(command, code=1)
    assert view.requests() == []


def test_a_reinstall_of_systemd_leaves_the_stand_in_in_force(systemd_host: Host, packages: Path) -> None:
    """Traps A9: bind mounts break dpkg here, and without a diversion it overwrites the stand-in."""
    view = systemd_host.view(packages)
    view.run("dpkg -i /tmp/debs/*systemd*.deb; code=$?; systemctl restart probe; exit $code")
    assert view.requests()[-1] == "restart probe.service"
    upper = view.clean()
    assert "f usr/bin/systemctl\n" in upper
    assert ".backout-real" not in upper
    packed = f"dpkg-deb --fsys-tarfile {view.folder}/debs/systemd_*.deb | tar -xO ./bin/systemctl"
    assert systemd_host.run("sh", "-c", f"{packed} | cmp - {view.folder}/upper/usr/bin/systemctl") == ""


def test_the_upper_layer_shows_no_trace_of_the_stand_ins(sysv_host: Host, packages: Path) -> None:
    """Law 2 and 3: what is promoted are the command's own bytes, never ours; what it removed is removed."""
    view = sysv_host.view(packages)
    view.run("dpkg -i /tmp/debs/init-system-helpers_*.deb && service nginx restart && touch /usr/sbin/invoke-rc.d")
    view.run("dpkg-divert --quiet --local --no-rename --add /usr/bin/some-tool; service cron start")
    view.run("rm /usr/sbin/service.backout-real")  # as dpkg does when the package goes
    assert view.requests() == ["restart nginx.service", "start cron.service"]
    upper = view.clean()
    assert ".backout-real" not in upper
    assert "c usr/sbin/service\n" in upper
    roots = ("", f"{view.folder}/upper")
    host, mine = (sorted(sysv_host.run("cat", f"{root}/var/lib/dpkg/diversions").splitlines()) for root in roots)
    assert mine == sorted([*host, "/usr/bin/some-tool", "/usr/bin/some-tool.distrib", ":"])
    assert sysv_host.run("cmp", f"{view.folder}/upper/usr/sbin/invoke-rc.d", "/usr/sbin/invoke-rc.d") == ""
    origins = sysv_host.run("getfattr", "-R", "-d", "-m", "overlay.origin", f"{view.folder}/upper/usr/sbin", code=None)
    assert "invoke-rc.d" not in origins
    assert "usr/sbin\n" not in origins


def test_directories_look_as_on_the_host(sysv_host: Host) -> None:
    """A merged directory shows the metadata of its topmost layer, which is ours."""
    folders = "/ /usr /usr/bin /usr/sbin /var /var/lib /var/lib/dpkg"
    look = f"stat -c '%n %a %u %g %Y' {folders}; getfacl -p {folders}"
    assert sysv_host.view().run(look) == sysv_host.run("sh", "-c", look)


def test_init_scripts_are_recorded_where_there_is_no_systemd(sysv_host: Host) -> None:
    """The real tools would run the script, which starts a daemon that dies with the view."""
    view = sysv_host.view()
    assert view.run("service nginx status", code=3) == "nginx is not running.\n"
    view.run(
        "service nginx start; invoke-rc.d nginx reload; /usr/sbin/service cron --full-restart; service nginx status"
    )
    view.run("invoke-rc.d cron start")  # its link in this run level says K: not started, here and live
    assert view.requests() == ["start nginx.service", "reload nginx.service", "restart cron.service"]
    assert view.run("service nope start", code=1) == "nope: unrecognized service\n"
    assert " [ + ]  nginx\n" in view.run("service --status-all")
    assert "not been booted with systemd" in view.run("systemctl start nginx", code=1)
    assert "pgrep" not in view.run("pgrep -x nginx", code=1)


def test_an_init_script_run_by_its_own_path_is_recorded_too(sysv_host: Host) -> None:
    """Puppet starts services so; a daemon started for real would die with the view, and never run live."""
    view = sysv_host.view()
    view.run("/etc/init.d/cron start; sh /etc/init.d/nginx restart; touch /lib/lsb/init-functions.d/*")
    assert view.requests() == ["start cron.service", "restart nginx.service"]
    assert view.run("/etc/init.d/cron status") == "cron is running.\n"
    view.run("pgrep -x cron", code=1)
    assert "backout" not in view.clean()


def test_boot_tools_are_recorded(systemd_host: Host) -> None:
    """grub-probe cannot look through an overlay, and what they make is made from the switched files (traps A13)."""
    systemd_host.write("/usr/sbin/update-initramfs", "#!/bin/sh\nexit 9\n", "755")
    view = systemd_host.view()
    view.run("update-initramfs -u")
    assert view.requests() == ["run update-initramfs"]


def test_garbage_among_the_requests_is_passed_over(systemd_host: Host) -> None:
    """The rehearsed command runs as root and can write anything there; only requests are ever carried out."""
    view = systemd_host.view()
    view.run(r"printf 'rm -rf\nstart a b\nstart ../x\n\377\0\nstart $(reboot)\n\nstart' >>/dev/.backout/requests")
    view.run("systemctl stop probe")
    view.run("printf '\nrestart probe.service\nrestart probe.service;true\n' >>/dev/.backout/requests")
    assert view.requests()[-1] == "restart probe.service"
    assert {line.split()[0] for line in view.requests()} <= {"start", "stop", "restart"}
    assert not any(";" in line or "$" in line or "/" in line for line in view.requests())
