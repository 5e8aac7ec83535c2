"""Text that stands where many can look, such as a log, and that only who knows ``HOOKLINE_SECRET_KEY`` can read.

HooklineError
└── HiddenTextError (ValueError)   it was cut or changed, or hidden under another key
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2s

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from infra.errors import HooklineError


class HiddenTextError(HooklineError, ValueError):
    """What it was can't be told."""


def hide(text: str, secret_keys: Sequence[str]) -> str:
    """The text under the first key: letters, digits, ``-``, ``_`` and ``=``, another line every time.

    >>> hidden = hide("from Notion", ["new", "old"])
    >>> "Notion" in hidden, reveal(hidden, ["newer", "new"])
    (False, 'from Notion')
    """
    return _box(secret_keys).encrypt(text.encode("utf-8")).decode("ascii")


def reveal(hidden: str, secret_keys: Sequence[str]) -> str:
    """What `hide` hid under any of the keys.

    Raises:
        HiddenTextError: nobody hid that, or not under these keys.
    """
    try:
        return _box(secret_keys).decrypt(hidden.encode("utf-8", "replace")).decode("utf-8")
    except InvalidToken:
        raise HiddenTextError("it was cut or changed, or hidden under another HOOKLINE_SECRET_KEY") from None


def _box(secret_keys: Sequence[str]) -> MultiFernet:
    keys = [blake2s(key.encode("utf-8"), person=b"hl.hide", digest_size=32).digest() for key in secret_keys]
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in keys])
