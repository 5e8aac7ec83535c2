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


DURATION = Duration()
