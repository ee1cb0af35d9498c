"""Which passage answers a question best: judged from values alone."""

from __future__ import annotations

from backout.model.ranking import LONGEST, Known, Passage, excerpt, looked_up, question, ranked, weigh

DAY_S = 86400.0
TRACE = (
    "2026-11-28 19:00:01 booting worker with pid 77\n"
    "Traceback (most recent call last):\n"
    '  File "/srv/shop/app.py", line 3, in <module>\n'
    "    import pkg_resources\n"
    "ModuleNotFoundError: No module named 'pkg_resources'\n"
)


def order(text: str, *passages: Passage, **holding: int) -> list[int]:
    """The places of the passages, best first, where an index of 1,000 knows how many hold a word (else one)."""
    asked = question(text)
    known = Known(1000, {word: holding.get(word, 1) for word in asked.words()})
    return [at for at, _ in ranked(asked, known, passages)]


def test_a_rare_word_tells_more_than_two_common_ones() -> None:
    """Everything failed to start at some time; the module's name is in one incident."""
    common, rare = Passage("", "the worker failed to start"), Passage("", "pkg_resources and nothing else of it")
    assert order("worker start pkg_resources", common, rare, worker=700, start=600)[0] == 1


def test_a_word_in_a_title_tells_more_than_one_in_the_text() -> None:
    """A title says what it is about."""
    assert order("gunicorn", Passage("a day", "gunicorn came up"), Passage("gunicorn", "a day came up"))[0] == 1


def test_of_two_alike_the_later_one_is_first_and_a_better_old_one_stays_before_a_worse_new_one() -> None:
    """What broke last week breaks again sooner than what broke years ago; but what matches, matches."""
    old, new = (Passage("disk full", "on /var", age_s=days * DAY_S) for days in (900, 3))
    assert order("disk full", old, new) == [1, 0]
    assert order("disk full on /var", old, Passage("printer", "its disk was replaced", age_s=DAY_S))[0] == 0


def test_a_compound_is_found_by_its_parts() -> None:
    """The log has the exception's name, the note has the words."""
    assert order("java.lang.OutOfMemoryError", Passage("", "all is well"), Passage("", "it ran out of memory")) == [1]


def test_neighbours_that_stay_neighbours_tell_more() -> None:
    """A version, an advisory or a phrase is more than its words."""
    apart, together = Passage("", "44228 times 2021 a cve"), Passage("", "it is cve-2021-44228 again")
    assert order("CVE-2021-44228", apart, together) == [1, 0]


def test_the_line_that_says_what_broke_weighs_more_than_the_lines_around_it() -> None:
    """A pasted log is mostly about what went well."""
    booted, broke = Passage("", "booting worker app srv shop"), Passage("", "no module named pkg_resources")
    assert order(TRACE, booted, broke)[0] == 1


def test_a_log_without_a_headline_is_held_against_titles_by_what_broke() -> None:
    """Who pastes a traceback writes no title."""
    assert (
        question(TRACE.partition("\n")[2]).headline
        == question("ModuleNotFoundError: No module named 'pkg_resources'").headline
    )
    assert question(f"The shop is down\n{TRACE}").headline == question("The shop is down").headline


def test_of_a_long_log_the_words_that_tell_most_are_looked_up() -> None:
    """A query of a thousand words reads the whole index, and finds the everyday ones."""
    asked = question(" ".join(f"word{number}" for number in range(500)))
    known = Known(1000, {f"word{number}": 900 if number % 50 else 2 for number in range(499)})
    chosen = looked_up(asked, known)
    assert len(chosen) == 40
    assert set(chosen[:10]) == {f"word{number}" for number in range(0, 500, 50)}
    assert "word499" not in chosen  # the index has none


def test_beginning_and_end_of_an_endless_text_are_read() -> None:
    """What broke is said at one of them; a log may have any length."""
    said = question(f"first {'x ' * LONGEST} last").terms
    assert {"first", "last"} <= set(said)
    assert said["x"] < LONGEST


def test_what_has_only_everyday_words_in_common_is_no_answer() -> None:
    """A page of guesses hides the one that helps."""
    good = Passage("pkg_resources is gone", "ModuleNotFoundError: No module named pkg_resources")
    assert order(TRACE, good, Passage("", f"srv {'and other things ' * 50}"), srv=900) == [0]


def test_nothing_in_common_and_nothing_asked_find_nothing() -> None:
    """The caller says that nothing was found; that is no error."""
    assert order("gunicorn", Passage("disk", "full")) == []
    assert order("", Passage("disk", "full")) == []
    assert order("gunicorn") == []


def test_the_excerpt_is_the_line_that_answers_best_cut_around_it() -> None:
    """It shows why this was found."""
    asked = question("pkg_resources")
    weights = weigh(asked, Known(10, {"pkg": 1, "resources": 1}))
    text = f"all is well\n{'before ' * 40}import pkg_resources{' after' * 40}\nthe end"
    shown = excerpt(asked, weights, Passage("t", text))
    assert "pkg_resources" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 162
    assert excerpt(asked, weights, Passage("only a title")) == "only a title"
