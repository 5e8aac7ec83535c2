"""What providers ask beside their events, and what they are answered: a challenge, a test of the address, a secret to keep.

The questions are data (``[[handshakes]]`` in the provider table); `Handshakes.answer` decides, and `ingest.handshake_replies`
carries out what is more than words. What keeps a question from doing harm, since anybody may ask most of them:

- What is sent back is bounded, and goes out as plain text or JSON that no browser takes for a page.
- What is signed for an asker is one word and no JSON, or they could have the signature of an event made for them.
- A question that the provider signs is none unless the signature holds.
- A secret that comes in is believed by nobody: while the source's ``handshake`` is ``open`` it goes into the log, readable
  with ``hookline sources reveal`` alone, and the operator decides.
- An address is called only out of a signed body, and only on the hosts that the table pins.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.responses import Response

from infra.expressions import Document, Expression, compile_expression
from infra.signatures import Provider, SecretMissing, SignatureMismatch, SignedRequest
from infra.signatures.encodings import ENCODERS
from infra.strict_json import StrictJSONError, loads
from ingest.replies import json_reply, text_reply
from ingest.source_table import Row

LONGEST_VALUE: Final = 2048  # characters; Microsoft's tokens, the longest known, have some hundred
_BRINGS_SECRET: Final = frozenset({"echo-header", "secret-in-body"})

_LARGEST_QUESTION: Final = 4096  # bytes of a body that nothing vouches for
_MOST_PARAMETERS: Final = 16
_WORD: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}", re.ASCII)
_TO_GREET: Final = "[!-~]{0,2048}"  # what may follow the host that is called


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to say.

    Args:
        text, json: the body; neither: there is none.
        visit: the address to call first.
        secret: what the provider wants us to keep.
    """

    status: int = 200
    text: str = ""
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    visit: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)

    def reply(self) -> Response:
        """The response."""
        if self.json is not None:
            return json_reply(self.json, self.status, self.headers)
        return text_reply(self.text, self.status, self.headers)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One entry of the table's ``[[handshakes]]``.

    Args:
        kind: one of `infra.signatures.providers.HANDSHAKES`.
        signed: whether the signature has to hold.
        when: what stands where in such a request; empty text: the body has no such member.
        value: where that stands which the answer is made from.
        answer: ``text`` or ``json``; of the kind ``fixed`` the answer itself.
        status: of the answer.
        empty: the answer has no body.
        member, value_member: a JSON answer's members for what was made, and for the value itself.
        encoding, prefix: of a keyed answer.
        verify_token: where the operator's token has to stand.
        host: a pattern, for the address that is called.
        for_each_event: no question: this is the answer to every event that is stored.
    """

    kind: str
    method: str
    signed: bool
    when: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    answer: str | Mapping[str, Any] = ""
    status: int = 200
    empty: bool = False
    member: str = ""
    value_member: str = ""
    encoding: str = "hex"
    prefix: str = ""
    verify_token: str = ""
    host: str = ""
    for_each_event: bool = False

    def is_asked_by(self, request: SignedRequest, document: Document) -> bool:
        """Whether a request has what such questions have."""
        return request.method == self.method and all(
            _found(place, request, document) == text if text else _lacks(place, document)
            for place, text in self.when.items()
        )

    def made_from(self, value: str) -> Answer:
        """The answer that shows a text."""
        if self.answer == "json":
            return Answer(json={self.member: value})
        return Answer(text=value)

    @property
    def fixed(self) -> Answer:
        """The answer that is always the same."""
        if isinstance(self.answer, str):
            return Answer(status=self.status, text=self.answer)
        return Answer(status=self.status, json=self.answer)


@dataclass(frozen=True, kw_only=True)
class Handshakes:
    """What one source is asked.

    Args:
        secrets: the source's keys, newest first; what is keyed is keyed by the first.
        verify_tokens: what a question that brings a token has to bring.
        open: whether a provider may bring a secret now.
    """

    questions: Sequence[Question]
    secrets: Sequence[bytes] = field(default=(), repr=False)
    verify_tokens: Sequence[bytes] = field(default=(), repr=False)
    open: bool = False

    def answer(self, request: SignedRequest, document: Document, *, verified: bool) -> Answer | None:
        """The answer, if the request is such a question and no event.

        Args:
            verified: whether its signature holds.

        Raises:
            SignatureError: it is one, and its token is not ours.
        """
        if not verified and len(request.body) > _LARGEST_QUESTION:
            return None
        for question in self.questions:
            if question.for_each_event or (question.signed and not verified):
                continue
            if question.is_asked_by(request, document):
                answer = self._answer(question, request, document)
                if answer is not None:
                    return answer
        return None

    @cached_property
    def acknowledgement(self) -> Answer | None:
        """What the provider wants to hear whenever an event of it was stored; None: it takes whatever we say."""
        return next((question.fixed for question in self.questions if question.for_each_event), None)

    @cached_property
    def methods(self) -> frozenset[str]:
        """How the questions come."""
        return frozenset(question.method for question in self.questions)

    def _answer(self, question: Question, request: SignedRequest, document: Document) -> Answer | None:
        if question.kind == "fixed":
            return question.fixed
        value = _found(question.value, request, document)
        if value is None or len(value) > LONGEST_VALUE:
            return None
        match question.kind:
            case "echo-query":
                if question.verify_token:
                    self._check_token(_found(question.verify_token, request, document))
                return question.made_from(value)
            case "echo-json":
                return question.made_from(value) if question.signed or _is_all(value, document) else None
            case "keyed":
                return self._keyed(question, value)
            case "echo-header" if self.open and _WORD.fullmatch(value):
                return Answer(headers={question.value.removeprefix("header:"): value}, secret=value)
            case "secret-in-body" if self.open and _is_all(value, document):
                return Answer(secret=value)
            case "visit" if re.fullmatch(f"https://(?:{question.host})/{_TO_GREET}", value):
                return Answer(visit=value)
        return None

    def _keyed(self, question: Question, value: str) -> Answer | None:
        if not self.secrets or not _WORD.fullmatch(value) or _is_json(value):
            return None
        made = ENCODERS[question.encoding](hmac.digest(self.secrets[0], value.encode("ascii"), "sha256"))
        shown = {question.value_member: value} if question.value_member else {}
        return Answer(json={**shown, question.member: question.prefix + made})

    def _check_token(self, sent: str | None) -> None:
        if not self.verify_tokens:
            raise SecretMissing("the source has no verify_token, and no secret")
        held = [hmac.compare_digest(token, (sent or "").encode("utf-8")) for token in self.verify_tokens]
        if not any(held):
            raise SignatureMismatch("the token is not the source's verify_token")


def read_questions(entries: Sequence[Mapping[str, Any]]) -> tuple[Question, ...]:
    """The table's entries.

    Raises:
        TypeError: an entry has a key that is none, or lacks one.
    """
    return tuple(Question(**entry) for entry in entries)


def handshakes_of(
    row: Row, provider: Provider, keys: Sequence[bytes], verify_tokens: Sequence[str]
) -> Handshakes | None:
    """What a source is asked, as its row has it; None: nothing.

    Raises:
        SettingsError: a key that means nothing for this provider, or says what it may not.
    """
    questions = read_questions(provider.handshakes)
    if verify_tokens and not any(question.verify_token for question in questions):
        raise row.fault("verify_token", f"is not a key of provider {provider.name}")
    handshake = row.text("handshake")
    if handshake is not None and not any(question.kind in _BRINGS_SECRET for question in questions):
        raise row.fault("handshake", f"is not a key of provider {provider.name}")
    if handshake not in (None, "open", "closed"):
        raise row.fault("handshake", "needs open or closed")
    if not questions:
        return None
    return Handshakes(
        questions=questions,
        secrets=keys,
        verify_tokens=tuple(token.encode("utf-8") for token in verify_tokens) or keys,
        open=handshake == "open",
    )


def _found(place: str, request: SignedRequest, document: Document) -> str | None:
    kind, _, name = place.partition(":")
    return _parameter(request.query, name) if kind == "query" else _compiled(place).evaluate(document)


@cache
def _compiled(place: str) -> Expression:
    return compile_expression(place)


def _parameter(query: bytes, name: str) -> str | None:
    """A parameter's text; None where it is missing, empty, there twice, or can't be read.

    >>> _parameter(b"hub.mode=subscribe&hub.challenge=1158%2B2&a=1&a=2", "hub.challenge")
    '1158+2'
    >>> [_parameter(query, "a") for query in (b"", b"a=", b"a=1&a=2", b"a=%ff")]
    [None, None, None, None]
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError:
        return None
    values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 else None


def _lacks(place: str, document: Document) -> bool:
    """Whether the body is nothing at all, or an object without that member."""
    if not document.body:
        return True
    said = _said(document)
    return isinstance(said, dict) and place.removeprefix("json:$.") not in said


def _is_all(value: str, document: Document) -> bool:
    """Whether the body says nothing else, so that it is no event."""
    said = _said(document)
    return isinstance(said, dict) and list(said.values()) == [value]


def _said(document: Document) -> Any:
    try:
        return document.json
    except StrictJSONError:
        return None


def _is_json(text: str) -> bool:
    try:
        loads(text.encode("ascii"))
    except StrictJSONError:
        return False
    return True
