"""The words that tell weak wording, counterfactuals and blame in English, as patterns. Pure.

Apostrophes are straight in what they are held against. A pattern's `[ ]` is a blank that has to be there.
"""

from __future__ import annotations

import re

FLAGS = re.IGNORECASE | re.VERBOSE
BLANK = r"(?:[\ \t]+|[\ \t]*\n[\ \t]*)"
"""What parts two words of running text: a line may be broken there, a paragraph may not."""


def words(pattern: str) -> re.Pattern[str]:
    """Compile words that stand by themselves."""
    return re.compile(rf"\b(?:{pattern})(?!\w)", FLAGS)


def running(pattern: str) -> re.Pattern[str]:
    """Compile words of running text, where a line may be broken between any two."""
    return words(pattern.replace("[ ]", BLANK))


# What may stand before the act: it says nothing of what is to be so.
LEAD = re.compile(
    r"""(?:[\s*-]|\[.\])*
    (?:(?!for\b|in\b)[\w\ ]{1,40}:[ ]+)?
    (?:(?:after|before|if|when|whenever)[ ][^,.:]{1,160},[ ]+)?
    (?:(?:therefore|instead|also|additionally|finally|first|next|then|please)[,\s]+)*
    (?:(?:(?:re)?open|rais|creat|fil|writ)e?(?:ed)?[ ]+(?:an?[ ])?(?:ticket|issue|task|story)[ ]+to[ ]+
    |(?:ticket|issue|task|story)[ ](?:was[ ])?(?:raised|created|opened|filed)[ ]+to[ ]+)?
    (?:(?:we|i|you|they|admins|everyone|everybody|people|staff
    |(?:the[ ])?(?:whole[ ])?(?:team|developers|engineers))(?:'ve|'ll)?[ ]+)?
    (?:(?:should|shall|must|will|would|needs?[ ]to|ha(?:s|ve)[ ]to|wants?[ ]to|ought[ ]to|(?:are|is)[ ]going[ ]to
    |(?:are|is)[ ]to|have|has|can)[ ]+(?!(?:it|our|the|they|we)\b)(?:(?:all|also|now|always|just|really)[ ]+)?)?
    (?:(?:be|make)[ ]sure[ ]to[ ]+)?
    (?:(?:actively|continuously|further|generally|quickly|regularly)[ ]+)?""",
    FLAGS,
)

FINDING_OUT = words(
    r"analy[sz](?:e|ing)|assess(?:ing)?|brainstorm|check(?:[ ](?:if|whether|why|how|what))?|consider(?:ed|ing)?"
    r"|curate|debug|determine|devise|diagnos(?:e|ing)|discuss(?:ed|ing)?|evaluat(?:e|ing)|examin(?:e|ing)"
    r"|explor(?:e|ing)|figur(?:e|ing)[ ]out|find(?:ing)?[ ]out|identify(?:ing)?"
    r"|investigat(?:e|ed|ing)|"
    r"look(?:ing)?[ ](?:again[ ]|closer[ ]|further[ ])?(?:at|for|in[ ]?to|through)|monitor[ ]the[ ]situation"
    r"|plan(?:ning)?[ ]to|prioriti[sz](?:e|ing)|reconsider|reflect(?:ing)?|research|rethink|review(?:ing)?|revisit"
    r"|see[ ](?:if|whether|how|why|what)|spike|study|think|troubleshoot|understand|work(?:ing)?[ ](?:on|out|towards?)"
)
ATTENTION = words(
    r"advis(?:e|ed|ing)|agree(?:d)?|align|ask(?:ed)?|be(?:[ ](?:more|very|extra))?[ ](?:attentive|aware|careful"
    r"|cautious|conscious|diligent|mindful|proactive|vigilant)|coach|collaborate|communicat(?:e|ed|ing)|coordinate"
    r"|do[ ](?:a[ ])?better(?:[ ]job)?|double-?[ ]?check|educat(?:e|ed|ing)|encourag(?:e|ed|ing)|focus[ ]on|follow"
    r"|keep[ ](?:an[ ]eye|in[ ]mind)|learn|liaise|look[ ](?:more[ ]carefully|more[ ]closely|closer|carefully)|observe"
    r"|propos(?:e|ed|ing)|rais(?:e|ing)[ ]awareness|recommend|remember|remind(?:ed)?|shar(?:e|ed|ing)|suggest"
    r"|take[ ](?:more[ ]|greater[ ]|better[ ])?(?:care|time)|talk(?:ed)?"
    r"|teach|think[ ]twice|tell|told|train|try[ ]harder"
    r"|always[ ](?:ask|be|check|collaborat\w+|communicat\w+|look|read|remember|review|tell|test|think|verify)|inform"
    r"|never[ ](?:assume|forget|ignore|trust)|(?:re-?)?familiari[sz]e|(?:for|in)[ ](?:the[ ])?future"
    r"|work[ ](?:closely|collaboratively|together)"
)
DEGREE = words(
    r"bring[ ]down|clarify|cut[ ]down|enhance|harden|improv(?:e|ing)|maximi[sz]e|minimi[sz]e|moderni[sz]e|optimi[sz]e"
    r"|reduc(?:e|ing)(?![ ](?:the[ ]|our[ ])?(?:\w+[ ])?"
    r"(?:frequency|interval|limit|retention|size|threshold|timeout|ttl)\b)"
    r"|accelerate|speed[ ]up|tune|refine|simplify|streamline|strengthen|tighten"
    r"|expand[ ]the[ ](?:set|range|scope|coverage)[ ]of"
    r"|(?:increase|raise)[ ](?:the[ ])?(?:availability|awareness|confidence|coverage|focus|observability|quality"
    r"|reliability|resilience|robustness|security|stability|transparency|visibility)"
)
TRIED = words(r"(?:aim|attempt|strive|try|trying)(?:[ ]to)?(?![ ]harder)")
A_WAY = words(
    r"(?:find(?:ing)?|come[ ]up[ ]with|work[ ]out)[ ](?:an?[ ]|some[ ]|another[ ])?(?:\w+[ ]){0,2}"
    r"(?:ways?|paths?|solutions?|means|strategy|strategies)(?:[ ]forward)?"
)
GOING_ON = words(r"continue|keep[ ](?:investigating|looking|monitoring|trying|working)")
WATCHED = r"alarms?|alert(?:s|ing)?|monitors?|monitoring|observability|notifications?|detection|visibility"
WRITTEN = r"docs|documentation|guid(?:e|es|ance|elines)|language|run-?books?|play-?books?|wording"
MADE = rf"(?:{WATCHED}|{WRITTEN}|dashboards?|logging|metrics|test(?:s|ing)|checks|training|communication)"

SINCE = words(
    r"so|because|since|which|in[ ]order[ ]to|to[ ](?:allow|avoid|be[ ]able|better|catch|debug|detect|diagnose|ease"
    r"|enable|encourage|find|get|help|identify|improve|know|make|notice|prevent|recover|reduce|respond|see|show|surface|track)"
)
"""From here on an action tells what it is for: what it is to be is before."""
MEASURE = re.compile(
    r"""(?<!\w)\d|\b(?:by[ ](?:\w+ly[ ])?\w+ing|into[ ]an?|with[ ]an?|zero|every|never|once|twice|half
    |in[ ](?:bytes|days|hours|minutes|percent|seconds))\b|%
    |\bso[ ](?:that[ ])?(?:it|they)[ ](?:always|never|only)\b
    |\bso[ ]that[ ](?!we\b)(?:\S+[ ]){1,6}?(?:are|is|be|gets?|can(?:not|'t)?|no[ ]longer|do(?:es)?(?:n't|[ ]not))\b
    (?!.*\b(?:better|feel|more|easier|easily)\b)""",
    FLAGS,
)
"""What makes a degree one that can be checked: a number, how it is done, or what is then so."""
DONE = words(
    r"(?:and|then)(?:[ ]then)?[ ](?:also[ ])?(?:add|automate|block|configure|create|delete|deploy|disable|document"
    r"|enable|ensure|fix|implement|increase|install|limit|make(?![ ]sure)|mend|migrate|move|pin|refuse|remove|replace"
    r"|revert|set|stop|switch|update|upgrade|write)"
)
"""An act that ends, after one that does not: `investigate and fix`."""
ASKED = re.compile(
    r"""(?:how|why|what|which|who|when[ ]should|whether|any|is|are|was|were|do(?:es)?[ ](?:we|they|it|the|our)
    |(?:can|could|should|would)[ ](?:we|they|it|the))\b""",
    FLAGS,
)
OPEN_END = re.compile(r"\?(?=\W*$)")
TOPIC = re.compile(
    r"(?!(?:close|document|eliminate|file|fix|handle|link|list|mend|open|raise|record|remove|repair|report|resolve|solve"
    r"|stop|track)\b)[^.:]*\b(?:concerns?|ideas?|improvements?|issues?|problems?|questions?|thoughts)\W*$",
    re.IGNORECASE,
)
UNNAMED = words(
    rf"""(?:add|create|get|have|implement|increase|introduce|need|provide|put[ ]in[ ]place|set[ -]?up|write)[ ]
    (?:(?:an?|automated|automatic|additional|basic|better|comprehensive|end-to-end|external|extra|further|general|good
    |health|integration|internal|load|more|new|our|proactive|proper|regular|service|some|system|the|unit)[ ])*
    {MADE}(?:[ ](?:and|or)[ ]{MADE})?
    (?=\W*$|[ ](?:in[ ]place|to[ ](?:be|catch|detect|help|improve|know|respond|see)))"""
)
CARE = words(
    r"(?:more[ ])?careful(?:ly)?|(?:more[ ]|close[ ])?attention|best[ ]effort|remember[ ]to"
    r"|manually[ ](?:check|compare|confirm|look|read|review|test|verify)"
)
PEOPLE = words(
    r"""(?:ensure|make[ ]sure)(?:[ ]that)?[ ](?:(?:all|each|our|the)[ ])*
    (?:admins?|colleagues|developers?|engineers?|everybody|everyone|operators?|people|staff|teams?|we)[ ]
    (?:(?:are|is)[ ](?:all[ ])?aware|(?!are\b|can\b|gets?\b|has\b|have\b|is\b|of\b)\w+)"""
)
AGAIN = words(
    r"""(?:avoid|ensure|make[ ]sure|prevent)(?:[ ]that)?[ ](?:it|similar|such|that|the[ ]same|these|this)\b
    (?:[ ]\S+){0,8}?[ ](?:again|recur(?:s|ring|rence)?|repeat(?:s|ed|ing)?|in[ ](?:the[ ])?future)"""
)
COMPARED = words(
    r"even[ ]more|(?<!\bsomething[ ])(?:more|less)[ ]"
    r"(?!than\b|of\b|(?:capacity|cpus?|disks?|instances|memory|nodes|ram|replicas|space|workers)\b|[\w-]+[ ]than\b)"
    r"[\w-]+|better(?![ ]than\b)"
    r"|much[ ]\w+er(?![ ]than\b)|(?:clean|clear|eas|fast|quick|safe|simpl|smart|smooth|strong)(?:er|ier)(?![ ]than\b)"
)
EMPTY = words(
    r"adequate|appropriate|proactive|proper|reasonable|sane|sensible|some[ ]kind[ ]of"
    r"|something(?=[ ](?:about|better|like|that)\b)|something[ ]more[ ]\w+"
    r"|sufficient|suitable|sustainable"
)
HEDGED = words(r"maybe|perhaps|possibly|potentially")
LEFT_OPEN = words(
    r"(?<!what\s)(?<!which\s)(?<!that\s)(?<!who\s)(?:could|might)|(?:if|where)[ ](?:necessary|needed|possible)"
    r"|as[ ](?:appropriate|needed|required|(?:it|they)[ ](?:arises?|comes?[ ]up|occurs?))"
)


_BEEN = (
    r"(?!(?:bleed|embed|feed|need|red|seed|shed|speed)\b)(?:\w+ed|been|begun|bought|broken|brought|built|caught|chosen"
    r"|come|cut|done|drawn|driven|fallen|felt|found|given|gone|got|gotten|grown|had|heard|held|hit|kept|known|left|let"
    r"|lost|made|meant|met|paid|put|read|run|said|seen|sent|set|shown|shut|spent|spoken|stood|taken|thought|thrown|told"
    r"|understood|won|written)\b"
)
_HAVE = (
    r"(?:n't|[ ]not|[ ]never)?(?:(?:[ ](?:\w+ly|also|better|just|still))?[ ]have|'ve)"
    rf"(?:[ ](?:\w+ly|also|just|never|not)){{0,2}}[ ]{_BEEN}"
)
EXPECTED = running(
    rf"(?:should|must|ought[ ]to){_HAVE}|(?:was|were)(?:n't|[ ]not)?[ ]supposed[ ]to|(?:in|with)[ ]hindsight"
)
"""What is expected of the past, now that it is known how it ended; a present duty (`should have alerts`) is not."""
OTHERWISE = running(
    rf"(?:could|might|would)(?![ ]have[ ]led\b){_HAVE}|if[ ]only"
    rf"|had[ ](?:anyone|he|i|it|nobody|she|someone|they|we|you)[ ](?:\w+ly[ ]|not[ ])?{_BEEN}"
)
"""A past that did not happen. `could have led` is how a review names another path."""
OMITTED = running(r"(?:forgot(?:ten)?|neglected|omitted)[ ]to|forgot|did(?:n't|[ ]not)[ ](?:bother|remember|think)")
FAILED = running(r"(?P<failed>fail(?:ed|ing|s)?[ ]to)[ ](?P<act>\w+)")
MACHINES = frozenset(
    (
        *(
            "allocate",
            "answer",
            "apply",
            "authenticate",
            "bind",
            "boot",
            "build",
            "come",
            "compile",
            "complete",
            "connect",
        ),
        *("converge", "create", "decode", "deploy", "download", "drain", "execute", "fetch", "find", "finish", "fork"),
        *(
            "get",
            "import",
            "initialize",
            "install",
            "join",
            "launch",
            "listen",
            "load",
            "lock",
            "login",
            "mount",
            "open",
        ),
        *("parse", "pass", "ping", "pull", "push", "reach", "read", "rebuild", "reconnect", "recover", "register"),
        *("release", "reload", "render", "resolve", "respond", "restart", "return", "roll", "run", "save", "scale"),
        *("schedule", "send", "serve", "spawn", "start", "stop", "sync", "unmount", "update", "upgrade", "upload"),
        *("validate", "verify", "write"),
    )
)
"""What a machine fails to do, too: told of one, that is what happened."""
PERSON = (
    r"everyone|he|i|nobody|no[ ]one|on-?call|people|she|somebody|someone|staff|they|we|who|you"
    r"|(?:admin|administrator|author|colleague|developer|engineer|maintainer|operator|person|reviewer|team)s?"
)
_SLIP = r"(?:carelessness|error|fault|mistake|negligence|omission|oversight|slip|typo)"
CAUSES = (
    (
        r"\b(?:because(?:[ ]of)?|blam(?:e|ed|ing)(?:[ ]on)?|caused[ ]by|down[ ]to|due[ ]to|owing[ ]to"
        rf"|{_SLIP}[ ](?:by|of))[ ]NAME"
    ),
    rf"NAME's?[ ](?:\w+[ ]){{0,2}}{_SLIP}\b",
    (
        r"NAME(?:'s?[ ](?:\w+[ ]){1,3}?|[ ])(?:(?:had|has|\w+ly)[ ]){0,2}(?:broke|caused|forgot|ignored|misconfigured"
        r"|misread|missed|mistyped|misunderstood|neglected|overlooked|took[ ]down"
        r"|was[ ](?:at[ ]fault|careless|to[ ]blame))\b"
    ),
    (
        r"NAME[ ](?:(?:had|has)[ ])?"
        r"(?:accidentally|by[ ]mistake|carelessly|erroneously|inadvertently|mistakenly|wrongly)\b"
    ),
    (
        r"NAME[ ](?:failed[ ]to|(?:could|should|would)(?:n't|[ ]not)?[ ]have"
        r"|did(?:n't|[ ]not)[ ](?:ask|check|follow|look|notice|read|remember|tell|test|think|verify|wait))\b"
    ),
)
"""A name told as a cause; NAME stands for any of the names that are known."""
ERRORS = running(r"(?:human|operator|user)[ ]errors?")
