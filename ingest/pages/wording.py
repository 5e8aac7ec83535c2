"""Numbers and commands as people read them."""

from markupsafe import Markup, escape


def grouped(number: int) -> str:
    """A large number in groups of three digits.

    >>> grouped(302_371), grouped(81)
    ('302,371', '81')
    """
    return f"{number:,}"


def brief(text: str, most: int = 60) -> str:
    """The beginning of a text, in so many bytes as a page writes it, about.

    >>> brief("short"), brief("a long text", 6), brief("<<<<", 8)
    ('short', 'a long…', '<<…')
    """
    left = most
    for place, character in enumerate(text):
        left -= len(str(escape(character)).encode("utf-8", "replace"))
        if left < 0:
            return f"{text[:place]}…"
    return text


def with_code(text: str) -> Markup:
    """Text with what stands between backticks as code; nothing else in it is more than text.

    >>> with_code("see `hookline doctor` <b>"), with_code("a lone ` stays")
    (Markup('see <code>hookline doctor</code> &lt;b&gt;'), Markup('a lone ` stays'))
    """
    *pairs, rest = text.split("`")
    if len(pairs) % 2:
        return escape(text)
    said = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(pairs)
    ]
    return Markup("").join((*said, escape(rest)))
