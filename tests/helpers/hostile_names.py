"""Names of files and classes that try to break a page."""

import random

NAMES = (
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</title></caption></table>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "a & b &lt; &amp;amp; &#60;",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "<!-- -->]]><![CDATA[",
    "\x00\x01\x1b[31mred\x7f",
    "line\nbreak\r\ttab\u2028\u2029",
    "\u202egnp.exe\u202c \u2066left\u2069 \u200f\u200b",
    "\ud800 lone \udcff",
    "猫の写真と犬",
    "🐈‍⬛👨‍👩‍👧🏳️‍🌈",
    "قط وكلب",
    "e\u0301" + "\u0301" * 40,
    "n" * 300,
    "long name of words " * 16,
    "../" * 60 + "a.png",
    "",
    " ",
    "$\\frac{1}{0}$ %s %(x)d {0}",
    "javascript:alert(1)",
)


def make_names(chosen: random.Random, count: int) -> list[str]:
    """Return random names: those above, parts of them, and mixtures."""
    names = []
    for number in range(count):
        first, second = chosen.choice(NAMES), chosen.choice(NAMES)
        cut = chosen.randrange(len(first) + 1)
        names.append(chosen.choice((first, first[:cut] + second, f"{first[cut:]}{number}", second * 2)))
    return names
