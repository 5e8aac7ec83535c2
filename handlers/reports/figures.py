"""The figures of a suburb, from its sales. Where sales come from is an adapter; the CSV file of this folder is made up and says so."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Protocol

import msgspec
from msgspec import Struct

from infra.errors import HooklineError


class FiguresUnusable(HooklineError):
    """The file of sales can't be read; the text says which line is wrong."""


class Sale(Struct, frozen=True):
    """One sale. `price` in whole dollars."""

    sold_on: date
    suburb: str
    state: str
    agency: str
    agent: str
    kind: str
    price: int
    days_on_market: int


class Sales(Protocol):
    """Where sales come from."""

    def of(self, suburb: str, state: str) -> Sequence[Sale]:
        """The sales of a suburb; none where it is not known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One agency, or one agent.

    Args:
        share: of the money, 0 to 1.
        months: sales a month, by ``2026-03``, every month of the period.
    """

    name: str
    of: str | None
    sales: int
    volume: int
    median_price: int
    median_days: int
    share: float
    months: Mapping[str, int]


class SalesFile:
    """Sales from a CSV file with the columns of `Sale`; lines that begin with ``#`` are remarks.

    Raises:
        FiguresUnusable: there is no such file, or a line of it is wrong.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._sales = _read(path)

    def of(self, suburb: str, state: str) -> Sequence[Sale]:
        wanted = (suburb.casefold(), state.casefold())
        return [sale for sale in self._sales if (sale.suburb.casefold(), sale.state.casefold()) == wanted]


def by_agency(sales: Sequence[Sale]) -> list[Row]:
    """A row for each agency, the largest volume first."""
    return _rows(sales, {sale.agency: None for sale in sales}, lambda sale: sale.agency)


def by_agent(sales: Sequence[Sale]) -> list[Row]:
    """A row for each agent, the largest volume first."""
    return _rows(sales, {sale.agent: sale.agency for sale in sales}, lambda sale: sale.agent)


def _rows(sales: Sequence[Sale], names: Mapping[str, str | None], key: Callable[[Sale], str]) -> list[Row]:
    groups: defaultdict[str, list[Sale]] = defaultdict(list)
    for sale in sales:
        groups[key(sale)].append(sale)
    total, months = sum(sale.price for sale in sales), _months(sales)
    rows = [
        Row(
            name=name,
            of=names[name],
            sales=len(group),
            volume=sum(sale.price for sale in group),
            median_price=round(median(sale.price for sale in group)),
            median_days=round(median(sale.days_on_market for sale in group)),
            share=sum(sale.price for sale in group) / total,
            months={month: sum(_month(sale) == month for sale in group) for month in months},
        )
        for name, group in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row.volume, row.name))


def _months(sales: Iterable[Sale]) -> list[str]:
    """All months from the first sale to the last, those without one too."""
    days = sorted(sale.sold_on for sale in sales)
    first, last = days[0].year * 12 + days[0].month - 1, days[-1].year * 12 + days[-1].month - 1
    return [f"{month // 12}-{month % 12 + 1:02}" for month in range(first, last + 1)]


def _month(sale: Sale) -> str:
    return f"{sale.sold_on:%Y-%m}"


@cache
def _read(path: Path | None) -> tuple[Sale, ...]:
    try:
        text = (files("handlers.reports") / "sales.csv" if path is None else path).read_text("utf-8")
    except OSError as error:
        raise FiguresUnusable(f"the sales can't be read: {error.strerror}") from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line and not line.startswith("#")
    ]
    sales = []
    for (number, _), row in zip(lines[1:], csv.DictReader(line for _, line in lines), strict=True):
        try:
            sales.append(msgspec.convert(row, Sale, strict=False))
        except msgspec.ValidationError as error:
            raise FiguresUnusable(f"line {number} of the sales: {error}") from None
    return tuple(sales)
