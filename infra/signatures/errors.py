"""What can be wrong with a request's signature, and with a scheme's parameters.

HooklineError
├── SignatureError               the request can't be trusted: one 401 for all of them
│   ├── SecretMissing            the source has no secret, so nothing can be trusted
│   ├── SignatureMissing         a header that the scheme needs is absent
│   ├── SignatureMalformed       a header is there and has not the shape that the scheme asks for
│   ├── SignatureMismatch        well-formed, and no secret of the source makes it
│   └── TimestampOutOfTolerance  too old, or too far ahead
└── SchemeError (ValueError)     a scheme's parameters, or a secret's form, are wrong: the process doesn't start
"""

from infra.errors import HooklineError


class SignatureError(HooklineError):
    """A request that can't be trusted.

    The sender learns nothing of this; the log and the diagnosis do.

    Args:
        message: the fault in words.
        evidence: what was seen, such as the header's name or the age in seconds; never a secret, and
            never what was sent as one.
    """

    def __init__(self, message: str, **evidence: str | float) -> None:
        super().__init__(message)
        self.evidence = evidence


class SecretMissing(SignatureError):
    """The source has no secret: it refuses everything."""


class SignatureMissing(SignatureError):
    """A header that the scheme needs is absent."""


class SignatureMalformed(SignatureError):
    """A header has not the shape that the scheme asks for."""


class SignatureMismatch(SignatureError):
    """No secret of the source makes this signature."""


class TimestampOutOfTolerance(SignatureError):
    """The signed moment is too old, or too far ahead."""


class SchemeError(HooklineError, ValueError):
    """A scheme can't be built from these parameters, or can't use that secret.

    Args:
        parameter: the name of the one that is wrong.
        message: what it needs; never the value.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
