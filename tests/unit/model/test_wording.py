"""Weak wording, counterfactuals and names as causes: what is found, where, and what is proposed instead."""

from __future__ import annotations

import pytest

from backout.model.wording import COUNTERFACTUAL, NAME, WEAK, findings, weak

TEAM = ("anna@laptop", "Ben Ito", "root")


def told(text: str, *names: str) -> list[str]:
    """The words that are found in a text."""
    return [finding.words for finding in findings(text, names or TEAM)]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Be more careful with upgrades", "Be more careful"),
        ("Do a better job at reviews", "Do a better job"),
        ("Look more closely at the diff", "Look more closely"),
        ("Double-check the context before deploying", "Double-check"),
        ("Make sure to double-check the context", "double-check"),
        ("We should remember to pin setuptools", "remember"),
        ("Train the team on restores", "Train"),
        ("Communicate better with clients", "Communicate"),
        ("Make sure everyone knows the runbook", "Make sure everyone knows"),
        ("Ensure that this does not happen again", "Ensure that this does not happen again"),
        ("Investigate the timeouts", "Investigate"),
        ("We need to look into slow restarts", "look into"),
        ("Consider a second resolver", "Consider"),
        ("Discuss who may deploy", "Discuss"),
        ("Ticket raised to investigate the timeouts", "investigate"),
        ("Improve monitoring", "Improve"),
        ("Add better tests", "Add better tests"),
        ("Restart workers more gracefully", "more gracefully"),
        ("Implement proactive alerts", "Implement proactive alerts"),
        ("Can we pin it?", "Can we"),
        ("Pin setuptools?", "?"),
        ("Pin setuptools, maybe", "maybe"),
        ("Alerting problems", "Alerting problems"),
        ("Always look at the diff in pairs", "Always look"),
        ("When servers hang, check the node", "check"),
        ("Make sure we treat staging like production", "Make sure we treat"),
        ("Platform team: review the daemon sets", "review"),
        ("Check each name and make sure it moved", "Check"),
        ("In future, reindex before upgrades", "In future"),
        ("Create ticket to investigate the timeouts", "investigate"),
        ("Fix known errors as they arise", "as they arise"),
    ],
)
def test_an_action_that_asks_for_attention_or_ends_nowhere_is_weak(title: str, words: str) -> None:
    """Nobody could tell from the systems and their records whether any of these is done."""
    found = weak(title)

    assert [(one.line, one.words, one.sort) for one in found] == [(1, words, WEAK)]
    assert title[found[0].column - 1 :].startswith(words)


@pytest.mark.parametrize(
    "title",
    [
        "Refuse a change that moves setuptools across a major version",
        "Improve p99 below 200 ms",
        "Improve the restore by copying from the second host",
        "Reduce the restart to 5 s",
        "Reduce the interval of the health check",
        "Always set a limit on memory",
        "Add a dashboard of stuck scans to notice them more quickly",
        "Give the pool more memory",
        "Investigate and fix the leak in the worker",
        "Simplify the deploy so it always takes all images",
        "Make sure all pods have a memory limit",
        "Ensure alerts of the sandbox reach #test",
        "We should have an alert on failed backups",
        "Document how to break a lock of Terraform",
        "Alert when the queue is over 1000 for 5 minutes",
        "Show `better` and “improve it” in the help (maybe)",
        "Keep requests that take more than 1 s",
        "Remember the last host in the configuration" + " by writing it to a file, and add a test of it",
    ],
)
def test_an_action_that_ends_in_something_to_be_seen_is_not_weak(title: str) -> None:
    """A weak verb with a measure, or with an act that ends, is an action like any other: no warning for it."""
    assert weak(title) == []


@pytest.mark.parametrize(
    ("title", "better"),
    [
        ("Improve monitoring of the queue", "Alert when the queue … for … minutes: name the figure and its limit"),
        (
            "Investigate the timeouts of the shop.",
            "Decide about the timeouts of the shop by DATE: write down what was found, and what is changed then",
        ),
        ("Check if pip agrees", "Write down by DATE whether pip agrees, and what is changed then"),
        ("Find a way to pin setuptools", "Pin setuptools: name what is added or changed for it"),
        (
            "Improve restore times",
            "Bring restore times from … to …: name the figure, or what is added or changed for it",
        ),
        ("Improve the documentation of restores", "Write down … about restores in …: name what is to be read there"),
        (
            "Pin setuptools, maybe on production",
            "Say that it is done (Pin setuptools, on production), or accept the risk by name until a date",
        ),
    ],
)
def test_what_is_proposed_names_what_is_missing(title: str, better: str) -> None:
    """A warning helps only with a way out; what backout cannot know is left to be filled in, never made up."""
    assert [one.better for one in weak(title)] == [better]


def test_what_is_proposed_is_not_weak_itself() -> None:
    """Who follows a proposal is not warned again."""
    titles = ("Improve monitoring of the queue", "Investigate the timeouts", "Try to pin it", "Be careful with pip")
    assert [weak(one.better) for title in titles for one in weak(title)] == [[]] * len(titles)


@pytest.mark.parametrize(
    "words",
    [
        "should have checked",
        "shouldn't have run",
        "could have seen",
        "would never have noticed",
        "should've known",
        "forgot to",
        "if only",
        "had we known",
        "in hindsight",
    ],
)
def test_a_past_that_did_not_happen_is_found_in_its_place(words: str) -> None:
    """What was not done explains nothing; the line and the column say where to write what was."""
    found = findings(f"## Lead-up\n\nThe new one, and we {words} the log.\n", ())

    assert [(one.line, one.words, one.sort) for one in found] == [(3, words, COUNTERFACTUAL)]
    assert found[0].column == len("The new one, and we ") + 1


def test_a_line_may_be_broken_within_but_a_paragraph_not() -> None:
    """People wrap their lines where they like."""
    assert told("It would not\nhave started.") == ["would not have started"]
    assert told("It would\n\nhave started.") == []


def test_what_a_machine_failed_to_do_is_a_fact_and_what_a_person_did_not_do_is_not() -> None:
    """`failed to start` is in every log; told of people it blames them."""
    assert told("The unit failed to start, and the build failed to\nfetch wheels.") == []
    assert told("They failed to start it. Nobody knew: the review failed to notice.") == ["failed to", "failed to"]


def test_a_duty_and_another_path_are_no_counterfactuals() -> None:
    """`We should have an alert` asks for one; `could have led` is how a review names another way into it."""
    assert told("We should have an alert.\n\n### P2 could have led: a rebuilt virtualenv\n") == []


@pytest.mark.parametrize(
    "words",
    [
        "because of Anna",
        "caused by anna",
        "Anna's mistake",
        "anna\u2019s upgrade broke",
        "Ben Ito forgot",
        "Anna accidentally",
        "due to Ben Ito",
    ],
)
def test_a_name_told_as_a_cause_is_found(words: str) -> None:
    """A person is no cause: the next one would do the same where nothing else changed."""
    found = [one for one in findings(f"It was {words} the shop.", TEAM) if one.sort == NAME]

    assert [(one.line, one.column, one.words) for one in found] == [(1, 8, words)]


def test_a_name_in_a_path_is_found_and_one_that_acts_or_owns_is_not() -> None:
    """Paths are ways of systems; who did what when, and who takes an action, is said by name."""
    proof = "- owner: Anna\n- proof: handed to Ben Ito by 2026-12-01\n"
    where = findings(f"Anna restarted nginx.\n\n### P1 led: Anna upgraded pip\n\n{proof}", TEAM)

    assert [(one.line, one.column, one.words, one.sort) for one in where] == [(3, 13, "Anna", NAME)]
    assert told("Due to root, caused by anna-2.") == []


def test_code_quotations_and_comments_are_not_looked_at() -> None:
    """What somebody wrote or said elsewhere stays as it was."""
    quoted = '`could have been` and "he would have known"'
    text = f"```\nshould have run\n```\n> we should have seen\n\n{quoted}\n<!-- if only -->\n"

    assert findings(text, TEAM) == []
    assert findings("", TEAM) == []


def test_findings_come_in_the_order_of_the_text() -> None:
    """They are read beside it."""
    text = "Human error.\n\nWe should have known; anna's fault."

    assert [(one.line, one.column, one.sort) for one in findings(text, TEAM)] == [
        (1, 1, NAME),
        (3, 4, COUNTERFACTUAL),
        (3, 23, NAME),
    ]
    assert all(one.better for one in findings(text, TEAM))
