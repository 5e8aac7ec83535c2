"""Reports as PDF: a cover, contents, tables and charts drawn as vectors, numbered pages (fpdf2)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from handlers.reports.figures import Row

if TYPE_CHECKING:
    from fpdf import FPDF

_INK: Final = (29, 36, 38)
_QUIET: Final = (88, 98, 101)
_LINE: Final = (223, 226, 223)
_COLOURS: Final = ((31, 111, 107), (201, 122, 43), (92, 104, 168), (163, 38, 29), (122, 138, 60))
_ROWS_CHARTED: Final = 10
_LINES_CHARTED: Final = len(_COLOURS)


def report(title: str, place: str, rows: Sequence[Row], *, of_agents: bool, made_on: date) -> bytes:
    """A report on the agencies or the agents of a suburb.

    Args:
        rows: at least one, the largest first.
        place: the suburb and its state.
    """
    from fpdf import FPDF, TextStyle

    class Numbered(FPDF):
        def footer(self) -> None:
            if self.page_no() > 1:
                self.set_y(-14)
                self.set_font("Helvetica", size=8)
                self.set_text_color(*_QUIET)
                self.cell(0, 6, f"{_plain(title)} - {_plain(place)}", align="L")
                self.set_x(self.l_margin)
                self.cell(0, 6, f"{self.page_no()} / {{nb}}", align="R")

    pdf = Numbered(format="A4")
    pdf.set_creation_date(datetime(made_on.year, made_on.month, made_on.day, tzinfo=UTC))
    pdf.set_title(_plain(f"{title}: {place}"))
    pdf.set_auto_page_break(auto=True, margin=18)
    pdf.set_section_title_styles(TextStyle("Helvetica", "B", 15, _INK, t_margin=4, b_margin=3))
    _cover(pdf, title, place, rows, made_on)
    pdf.add_page()
    pdf.insert_toc_placeholder(_contents)
    pdf.start_section("The market at a glance")
    _summary(pdf, place, rows)
    _bars(
        pdf,
        "Share of the volume",
        [(row.name, row.share, f"{row.share:.1%}") for row in rows[:_ROWS_CHARTED]],
    )
    pdf.add_page()
    pdf.start_section("Sales by month")
    _lines(pdf, rows[:_LINES_CHARTED])
    pdf.add_page()
    pdf.start_section("Agents" if of_agents else "Agencies")
    _table(pdf, rows, of_agents=of_agents)
    pdf.add_page()
    pdf.start_section("How these figures are made")
    _paragraph(
        pdf,
        "Volume is the sum of the prices of all sales that the feed lists for the suburb and the period. Share is a row's part of it. "
        "Medians are of single sales; days on market run from the listing to the sale. Prices are in Australian dollars.",
    )
    return bytes(pdf.output())


def _cover(pdf: "FPDF", title: str, place: str, rows: Sequence[Row], made_on: date) -> None:
    pdf.add_page()
    pdf.set_fill_color(*_COLOURS[0])
    pdf.rect(0, 0, 210, 8, style="F")
    pdf.set_y(90)
    _text(pdf, title, size=28, bold=True)
    _text(pdf, place, size=18)
    months = list(rows[0].months)
    _text(pdf, f"{months[0]} to {months[-1]}", size=12, quiet=True)
    pdf.set_y(262)
    _text(pdf, f"Made on {made_on.isoformat()}", size=9, quiet=True)


def _contents(pdf: "FPDF", outline: Iterable[Any]) -> None:
    _text(pdf, "Contents", size=15, bold=True)
    pdf.ln(3)
    for section in outline:
        pdf.set_font("Helvetica", size=11)
        pdf.set_text_color(*_INK)
        link = pdf.add_link(page=section.page_number)
        pdf.cell(150, 8, section.name, link=link)
        pdf.cell(0, 8, str(section.page_number), align="R", link=link, new_x="LMARGIN", new_y="NEXT")


def _summary(pdf: "FPDF", place: str, rows: Sequence[Row]) -> None:
    sales, volume = sum(row.sales for row in rows), sum(row.volume for row in rows)
    _paragraph(
        pdf,
        f"{sales} sales worth {_money(volume)} were made in {place}. {rows[0].name} leads with {rows[0].share:.0%} of the volume, "
        f"a median price of {_money(rows[0].median_price)} and {rows[0].median_days} days on market.",
    )


def _bars(pdf: "FPDF", heading: str, bars: Sequence[tuple[str, float, str]]) -> None:
    """Bars from left to right, each with its name and its number."""
    pdf.ln(4)
    _text(pdf, heading, size=11, bold=True)
    longest = max(value for _, value, _ in bars) or 1
    for name, value, words in bars:
        top = pdf.get_y() + 1.5
        pdf.set_font("Helvetica", size=9)
        pdf.set_text_color(*_INK)
        pdf.cell(48, 7, _fitted(pdf, name, 46))
        pdf.set_fill_color(*_COLOURS[0])
        pdf.rect(60, top, 110 * value / longest, 4, style="F")
        pdf.set_x(60 + 110 * value / longest + 2)
        pdf.cell(0, 7, words, new_x="LMARGIN", new_y="NEXT")


def _lines(pdf: "FPDF", rows: Sequence[Row]) -> None:
    """A line a row, sales a month upwards."""
    months = list(rows[0].months)
    left, top, width, height = 20.0, pdf.get_y() + 4, 170.0, 70.0
    most = max(1, *(count for row in rows for count in row.months.values()))
    pdf.set_font("Helvetica", size=8)
    pdf.set_text_color(*_QUIET)
    for step in range(5):
        y = top + height - height * step / 4
        pdf.set_draw_color(*_LINE)
        pdf.line(left, y, left + width, y)
        pdf.text(left - 8, y + 1, f"{most * step / 4:g}")
    across = width / max(len(months) - 1, 1)
    for index, month in enumerate(months):
        if index % max(len(months) // 6, 1) == 0:
            pdf.text(left + across * index - 5, top + height + 5, month)
    for row, colour in zip(rows, _COLOURS, strict=False):
        pdf.set_draw_color(*colour)
        pdf.set_line_width(0.6)
        points = [
            (left + across * i, top + height - height * row.months[month] / most)
            for i, month in enumerate(months)
        ]
        pdf.polyline(points if len(points) > 1 else points * 2)
    pdf.set_line_width(0.2)
    pdf.set_y(top + height + 10)
    for row, colour in zip(rows, _COLOURS, strict=False):
        pdf.set_fill_color(*colour)
        pdf.rect(20, pdf.get_y() + 2, 4, 4, style="F")
        pdf.set_x(27)
        pdf.set_text_color(*_INK)
        pdf.cell(0, 7, _plain(row.name), new_x="LMARGIN", new_y="NEXT")


def _table(pdf: "FPDF", rows: Sequence[Row], *, of_agents: bool) -> None:
    heading = ["Name", *(["Agency"] if of_agents else []), "Sales", "Volume", "Median", "Days", "Share"]
    widths = (34, 32, 12, 28, 26, 12, 14) if of_agents else (50, 14, 34, 30, 14, 16)
    numbers = ["LEFT"] * (2 if of_agents else 1) + ["RIGHT"] * 5
    pdf.set_font("Helvetica", size=9)
    pdf.set_text_color(*_INK)
    pdf.set_draw_color(*_LINE)
    pdf.set_fill_color(255, 255, 255)
    with pdf.table(
        col_widths=widths, text_align=numbers, borders_layout="HORIZONTAL_LINES", line_height=6
    ) as table:
        table.row(heading)
        for row in rows:
            name = [row.name, *([row.of or ""] if of_agents else [])]
            numbers_of = [
                str(row.sales), _money(row.volume), _money(row.median_price), str(row.median_days), f"{row.share:.1%}",
            ]  # fmt: skip
            table.row([_plain(cell) for cell in (*name, *numbers_of)])


def _paragraph(pdf: "FPDF", words: str) -> None:
    pdf.set_font("Helvetica", size=11)
    pdf.set_text_color(*_INK)
    pdf.set_x(pdf.l_margin)
    pdf.multi_cell(0, 6, _plain(words), new_x="LMARGIN", new_y="NEXT")


def _text(pdf: "FPDF", words: str, *, size: int, bold: bool = False, quiet: bool = False) -> None:
    pdf.set_font("Helvetica", style="B" if bold else "", size=size)
    pdf.set_text_color(*(_QUIET if quiet else _INK))
    pdf.set_x(pdf.l_margin)
    pdf.multi_cell(0, size * 0.5, _plain(words), new_x="LMARGIN", new_y="NEXT")


def _money(amount: int) -> str:
    return f"${amount / 1e6:.2f}m" if amount >= 1_000_000 else f"${amount:,}"


def _fitted(pdf: "FPDF", words: str, width: float) -> str:
    words = _plain(words)
    while pdf.get_string_width(words) > width:
        words = words[:-2] + "."
    return words


def _plain(words: str) -> str:
    """What the PDF's built-in fonts can show."""
    return words.encode("latin-1", "replace").decode("latin-1")
