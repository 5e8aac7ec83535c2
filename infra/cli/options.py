"""Kinds of values that commands take besides click's own."""

from datetime import timedelta

import click

from infra.durations import parse_duration


class Duration(click.ParamType[timedelta]):
    """``60s``, ``5m``: as in settings."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it, or refuse it in words."""
        try:
            return value if isinstance(value, timedelta) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Counts(click.ParamType[tuple[int, ...]]):
    """``1,2,4``: whole numbers from 1 to 64."""

    name = "counts"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read them, or refuse them in words."""
        if not isinstance(value, str):
            return value
        if not all(part.isascii() and part.isdigit() and 0 < int(part) <= 64 for part in value.split(",")):
            self.fail("whole numbers from 1 to 64, such as 1,2,4", param, ctx)
        return tuple(int(part) for part in value.split(","))


DURATION = Duration()
COUNTS = Counts()
