import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from handlers.context import Context
from handlers.errors import HandlerError
from handlers.registry import Registry


@dataclass
class Order:
    id: int


def fine(context: Context) -> None:
    """A handler with nothing wrong."""


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"source": "Acme"}, "source 'Acme': a source's name has only a-z, 0-9 and -"),
        ({"source": ""}, "source '': a source's name has only a-z, 0-9 and -"),
        ({"source": None}, "source None: a source's name has only a-z, 0-9 and -"),
        ({"type": ""}, "type '': name an event type, or '*' for any"),
        ({"queue": "a,b"}, "queue 'a,b': a queue's name has only letters, digits and _ . : -"),
        ({"max_attempts": 0}, "max_attempts 0: needs a whole number of at least 1"),
        ({"max_attempts": 2.5}, "max_attempts 2.5: needs a whole number of at least 1"),
        ({"max_attempts": True}, "max_attempts True: needs a whole number of at least 1"),
        ({"timeout": "soon"}, "timeout 'soon': not a duration"),
        ({"timeout": 30}, "timeout 30: not a duration"),
        ({"timeout": "0s"}, "timeout '0s': must be more than zero"),
        ({"timeout": "999999999d"}, "timeout '999999999d': must be more than zero and at most 365d"),
        ({"isolation": "fork"}, "isolation 'fork': 'thread' or 'process'"),
        ({"isolation": None}, "isolation None: 'thread' or 'process'"),
        ({"backoff": ""}, "backoff '': not a duration"),
        ({"backoff": "15s,,1m"}, "backoff '15s,,1m': not a duration"),
        ({"backoff": "0s"}, "backoff '0s': must be more than zero"),
        ({"backoff": ()}, "backoff (): needs waits"),
        ({"backoff": 15}, "backoff 15: needs waits"),
        ({"concurrency": 0}, "concurrency 0: needs a whole number of at least 1"),
        ({"concurrency": "2"}, "concurrency '2': needs a whole number of at least 1"),
        ({"ordering_key": "json:order_id"}, "ordering_key 'json:order_id': needs header:NAME, json:$.path"),
        ({"ordering_key": "{json:$.a"}, "ordering_key '{json:$.a': needs its braces in pairs"),
        ({"ordering_key": 7}, "ordering_key 7: needs text such as json:$.order_id"),
    ],
)
def test_a_wrong_word_is_named_with_the_function_and_its_line(words: dict[str, Any], fault: str) -> None:
    with pytest.raises(HandlerError, match=re.escape(fault)) as caught:
        Registry().handler(**{"source": "acme", **words})(fine)

    assert re.match(rf"\S*:fine \({re.escape(__file__)}:\d+\): ", str(caught.value))


def test_a_worker_tells_how_its_jobs_are_limited_and_ordered() -> None:
    registry = Registry()
    registry.handler("acme", concurrency=2, ordering_key="json:$.order_id")(fine)
    registry.handler("other")(fine)

    assert [(entry.concurrency, entry.ordering_key) for entry in registry.manifest()] == [
        (2, "json:$.order_id"),
        (None, None),
    ]


def generator(context: Context) -> Any:
    yield 1


async def async_generator(context: Context) -> Any:
    yield 1


def three(context: Context, payload: dict, more: int) -> None: ...


def by_position(context: Context, /) -> None: ...


def of_a_set(payload: set[int]) -> None: ...


def of_a_number(payload: int) -> None: ...


def of_something_unknown(payload: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (generator, "a handler is a def or async def function"),
        (async_generator, "a handler is a def or async def function"),
        (Order, "a handler is a def or async def function"),
        (three, "takes context, payload, more: a handler takes a context, a payload, or both"),
        (by_position, "takes context by position only"),
        (of_a_set, "payload: set[int]: payload can be a pydantic model"),
        (of_a_number, "payload: <class 'int'>: payload can be a pydantic model"),
        (of_something_unknown, "payload: Nowhere: name 'Nowhere' is not defined"),
    ],
)
def test_a_function_that_can_not_be_called_is_refused_at_start(function: Any, fault: str) -> None:
    with pytest.raises(HandlerError, match=re.escape(fault)):
        Registry().handler("acme")(function)


def by_any_name(ctx: "Context", *rest: int, level: int = 3, **more: int) -> None: ...


def only_payload(payload: "Order") -> None: ...


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "context_name", "takes_payload"),
    [
        (fine, "context", False),
        (by_any_name, "ctx", False),
        (only_payload, None, True),
        (nothing, None, False),
    ],
)
def test_a_handler_takes_a_context_a_payload_both_or_neither(
    function: Any, context_name: str | None, takes_payload: bool
) -> None:
    registry = Registry()
    registry.handler("acme")(function)

    declared = registry.find("acme", "anything")

    assert declared is not None
    assert (declared.context_name, declared.convert is not None) == (context_name, takes_payload)


def test_two_handlers_for_one_pair_are_both_named() -> None:
    registry = Registry()
    registry.handler("acme", "order.paid")(fine)

    with pytest.raises(HandlerError) as caught:
        registry.handler("acme", "order.paid")(only_payload)

    text = str(caught.value)
    assert "two handlers for ('acme', 'order.paid')" in text
    assert len(re.findall(rf":(?:fine|only_payload) \({re.escape(__file__)}:\d+\)", text)) == 2


def test_the_exact_type_is_looked_up_before_any_type() -> None:
    registry = Registry()
    registry.handler("acme")(fine)
    registry.handler("acme", "order.paid")(only_payload)

    found = [registry.find(*pair) for pair in [("acme", "order.paid"), ("acme", "other"), ("github", "push")]]

    assert [handler and handler.function for handler in found] == [only_payload, fine, None]


def test_a_function_can_handle_several_types_and_stays_itself() -> None:
    registry = Registry()

    assert registry.handler("acme", "a")(registry.handler("acme", "b")(fine)) is fine
    assert [entry.type for entry in registry.manifest()] == ["b", "a"]


def test_the_manifest_says_what_intake_needs() -> None:
    registry = Registry()
    registry.handler("acme", "order.paid", queue="high", max_attempts=2, timeout=timedelta(seconds=5))(fine)

    [entry] = registry.manifest()

    assert (entry.source, entry.type, entry.queue) == ("acme", "order.paid", "high")
    assert (entry.timeout, entry.max_attempts) == (timedelta(seconds=5), 2)
    assert entry.handler == f"{__name__}:fine"
