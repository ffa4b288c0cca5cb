"""Names, paths and numbers as people read them: any character, made printable, without secrets."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

TURNS = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Ends of lines and changes of direction: what stands after them would not be where it seems to be."""


PASSWORD = re.compile(
    r"((?<!file):/{2,}[^/?#\s:@]*):(?!\s|\d+(?:[^\d@]|$))(?:[^/?#\s]*|[^\s@]*)@"
    r"|(?<![^\s'\"(\[])(/?[^/?#\s:@'\"(\[]+):(?![\s/])[^/?#\s]*@(?=[^\s/]+/)"
)
"""What stands between a user's name and a machine in a URL, or in what is left of one without its protocol.

A number is a port, unless the machine follows."""
TOKEN = re.compile(r"(\bhttps?://)[^/?#\s:@]+@", re.I)
"""A user's name that is all there is to know, as of some hosts of code."""
IN_QUERY = re.compile(
    r"([?&;][^=&;?#\s]*(?:sig|signature|token|secret|password|passwd|pwd|credential|key|auth)[^=&;?#\s]*=)[^&;#\s]+",
    re.I,
)
"""Values of a URL that was signed: who has them may read what it names."""

MOST_LISTED = 20
"""Names that a message lists."""
MOST_DIGITS = 15
"""Decimal digits that every float64 keeps."""
LONGEST_NAME = 28
"""Signs of a feature's name that a picture or a line shows."""


def listed(names: Iterable[str], most: int = MOST_LISTED) -> str:
    """List the first names, and how many more there are.

    >>> listed("abc", 2)
    'a, b and 1 more'
    """
    each = list(names)
    return ", ".join(each[:most]) + (f" and {len(each) - most:,} more" if len(each) > most else "")


def counted(number: int, one: str, many: str | None = None) -> str:
    """Say how many there are of something, for people.

    Thousands are set apart in every count that people read. Numbers of rows and columns, which are looked up,
    and values that are set stay as they are typed.

    >>> counted(1, "pass", "passes"), counted(9430, "row")
    ('1 pass', '9,430 rows')
    """
    return f"{number:,} {plural(number, one, many)}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return the word for so many of something.

    >>> plural(1, "component"), plural(2, "component"), plural(2, "has", "have")
    ('component', 'components', 'have')
    """
    return one if number == 1 else many or one + "s"


def with_deviation(mean: float, deviation: float) -> str:
    """Say a mean and a standard deviation, of which three digits count, however far the mean is from 0.

    >>> with_deviation(1.23456, 0.0123), with_deviation(1.7e9 + 1e5, 2e4)
    ('1.2346 ± 0.0123', '1.7001e+09 ± 2e+04')
    """
    if not (math.isfinite(mean) and 0.0 < deviation < math.inf):
        return f"{mean:.4g}" + (f" ± {deviation:.2g}" if deviation else "")
    smallest = math.floor(math.log10(deviation)) - 2
    digits = 1 - smallest + (math.floor(math.log10(abs(mean))) if mean else 0)
    if not -6 <= smallest <= 1 or digits > MOST_DIGITS:
        return f"{mean:.{min(max(digits, 4), MOST_DIGITS)}g} ± {deviation:.2g}"
    places = max(-smallest, 0)  # thousands are whole numbers
    return f"{mean:.{places}f} ± {deviation:.{places}f}"


def redacted(text: object) -> str:
    """Return a text, such as a URL or a message that names some, without what is secret in URLs.

    Parameters
    ----------
    text : object
        A location, or a message.

    Returns
    -------
    str

    Examples
    --------
    >>> redacted("s3://user:password@bucket/x.zarr does not exist")
    's3://user:***@bucket/x.zarr does not exist'
    >>> redacted("https://host:8080/x.zarr?sig=0aF3&version=2")
    'https://host:8080/x.zarr?sig=***&version=2'
    """
    found = PASSWORD.sub(r"\1\2:***@", str(text))
    return IN_QUERY.sub(r"\1***", TOKEN.sub(r"\1***@", found))


def printable(text: object) -> str:
    r"""Return a text for a terminal or a page: control characters as Python writes them, others as they are.

    Parameters
    ----------
    text : object
        A name, a path, a message.

    Returns
    -------
    str

    Examples
    --------
    >>> printable("flux [/m²]")
    'flux [/m²]'
    >>> print(printable("two\nlines"))
    two\nlines
    """
    return "".join(repr(sign)[1:-1] if _is_control(sign) else sign for sign in str(text))


def _is_control(sign: str) -> bool:
    return sign in TURNS or unicodedata.category(sign) in {"Cc", "Cs"}


def shortened(name: str, most: int = LONGEST_NAME) -> str:
    """Cut the middle out of a long name.

    >>> shortened("a name that nobody can read", 12)
    'a name…read'
    """
    if len(name) <= most:
        return name
    end = most // 3
    return f"{name[: most - end - 1].rstrip()}…{name[-end:].lstrip()}"
