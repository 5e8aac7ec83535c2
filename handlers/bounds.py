"""Text from handlers is cut and cleaned before it is kept: the record stays small and is always UTF-8."""

_CUT = "…"
_CUT_SIZE = len(_CUT.encode())


def clip(text: str, limit: int) -> str:
    """The beginning of a text, within `limit` bytes of UTF-8; lone surrogates become question marks.

    >>> clip("naïve", 5), clip("broken \\ud83d", 100)
    ('na…', 'broken ?')
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - _CUT_SIZE].decode("utf-8", "ignore") + _CUT


def clip_front(text: str, limit: int) -> str:
    """The same, but the end of it: a traceback's last lines say most.

    >>> clip_front("first, second", 10)
    '… second'
    """
    data = text.encode("utf-8", "replace")
    return (
        data.decode()
        if len(data) <= limit
        else _CUT + data[len(data) - limit + _CUT_SIZE :].decode("utf-8", "ignore")
    )
