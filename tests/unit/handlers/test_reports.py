"""Reports: figures that add up, a PDF that can be read, Dropbox with its troubles."""

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from handlers import reports
from handlers.http_clients import HTTPClients
from handlers.outside import ServiceBusy, ServiceRefused
from handlers.reports import pdf
from handlers.reports.dropbox import Account, Dropbox
from handlers.reports.figures import FiguresUnusable, SalesFile, by_agency, by_agent
from handlers.testing import Attempt, run
from infra.cli.standins.dropbox import APP_KEY, APP_SECRET, REFRESH_TOKEN, DropboxStandIn, Trouble
from infra.ledger.records import Failed, Retried
from tests.pdfs import drawings_of, pages_of

HEADER = "sold_on,suburb,state,agency,agent,kind,price,days_on_market\n"
SALES = HEADER + (
    "2026-01-10,Newtown,NSW,Hill,Ada,house,1000000,10\n"
    "2026-03-02,Newtown,NSW,Hill,Bob,unit,500000,30\n"
    "2026-03-09,Newtown,NSW,Corner,Cy,house,1500000,20\n"
    "2026-03-09,Fitzroy,VIC,Corner,Cy,house,900000,20\n"
)
ACCOUNT = Account(
    app_key=APP_KEY,
    app_secret=APP_SECRET,
    refresh_token=REFRESH_TOKEN,
    api_url="http://api",
    content_url="http://content",
)
NEWTOWN = {"suburb": "newtown", "state": "NSW"}


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text("# a remark\n" + SALES)
    return path


def test_figures_add_up(sales: Path) -> None:
    rows = by_agency(SalesFile(sales).of("NEWTOWN", "nsw"))
    assert [(row.name, row.sales, row.volume, row.median_price, row.share) for row in rows] == [
        ("Corner", 1, 1_500_000, 1_500_000, 0.5),
        ("Hill", 2, 1_500_000, 750_000, 0.5),
    ]
    assert rows[1].months == {"2026-01": 1, "2026-02": 0, "2026-03": 1}
    assert [(row.name, row.of) for row in by_agent(SalesFile(sales).of("Newtown", "NSW"))] == [
        ("Cy", "Corner"),
        ("Ada", "Hill"),
        ("Bob", "Hill"),
    ]


def test_the_made_up_sales_say_so_and_can_be_read() -> None:
    text = (Path(reports.__file__).parent / "sales.csv").read_text()
    assert text.startswith("# Made up.")
    assert len(SalesFile().of("Newtown", "NSW")) > 50


@pytest.mark.parametrize("line", ["2026-13-01,a,b,c,d,e,1,1", "2026-01-01,a,b,c,d,e,much,1"])
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES + line + "\n")
    with pytest.raises(FiguresUnusable, match="line 6 of the sales"):
        SalesFile(path)


def test_a_report_has_a_cover_contents_figures_and_numbered_pages(sales: Path, tmp_path: Path) -> None:
    rows = by_agency(SalesFile(sales).of("Newtown", "NSW"))
    made = pdf.report("Agency report", "Newtown, NSW", rows, of_agents=False, made_on=date(2026, 11, 22))
    (tmp_path / "report.pdf").write_bytes(made)
    pages = pages_of(tmp_path / "report.pdf")
    assert "Agency report" in pages[0]
    assert "2026-01 to 2026-03" in pages[0]
    assert all(section in pages[1] for section in ("Contents", "Sales by month", "Agencies"))
    assert "$3.00m" in pages[2]
    assert "2 / 6" in pages[1] or "2/6" in pages[1].replace(" ", "")
    assert all(cell in pages[4] for cell in ("Corner", "Hill", "50.0%", "$750,000"))
    assert b"/Subtype /Image" not in made, "the charts are drawn, not pasted"
    bars, (_, lines) = drawings_of(made)[2], drawings_of(made)[3]
    assert bars == (len(rows), 0)
    assert lines == 5 + len(rows) * (len(rows[0].months) - 1), (
        "a grid, and a line from month to month for each"
    )


def test_names_that_the_fonts_lack_do_no_harm(sales: Path) -> None:
    sales.write_text(SALES.replace("Hill", "日本不動産 \u201cHill\u201d" * 5))
    rows = by_agent(SalesFile(sales).of("Newtown", "NSW"))
    assert pdf.report(
        "Agents report", "Newtown, NSW", rows, of_agents=True, made_on=date(2026, 1, 1)
    ).startswith(b"%PDF")


def test_without_dropbox_the_report_is_an_artifact() -> None:
    attempt = run(reports.agency, NEWTOWN)
    name = "agency-report-newtown-nsw.pdf"
    assert attempt.artifacts[name].startswith(b"%PDF")
    assert attempt.result["report"]["name"] == name
    assert (attempt.result["place"], attempt.result["made_up"]) == ("Newtown, NSW", True)
    assert [report.stage for report in attempt.progress[:3]] == ["figures", "pdf", "upload"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"suburb": "Atlantis", "state": "NSW"}, "no sales are known of Atlantis, NSW"),
        ({"suburb": "Newtown", "state": "CA"}, "`$.state`"),
        ({"state": "NSW"}, "suburb"),
    ],
)
def test_what_cant_be_reported_on_is_rejected_in_words(payload: dict[str, str], words: str) -> None:
    outcome = run(reports.agents, payload).outcome
    assert isinstance(outcome, Failed)
    assert words in outcome.error.message


@pytest.fixture
def uploading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempt]:
    for name, value in (
        ("DROPBOX_APP_KEY", APP_KEY), ("DROPBOX_APP_SECRET", APP_SECRET), ("DROPBOX_REFRESH_TOKEN", REFRESH_TOKEN),
        ("DROPBOX_API_URL", "http://api"), ("DROPBOX_CONTENT_URL", "http://content"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)

    def made(stand_in: DropboxStandIn) -> Attempt:
        transport = httpx.ASGITransport(app=stand_in.app)
        http = HTTPClients(asynchronous=lambda: httpx.AsyncClient(transport=transport))
        return run(reports.agency, NEWTOWN, http=http)

    return made


def test_a_report_is_uploaded_once_and_linked(uploading: Callable[..., Attempt]) -> None:
    stand_in = DropboxStandIn()
    attempt = uploading(stand_in)
    assert attempt.result["report"]["url"].startswith("http://api/s/")
    (content,) = stand_in.files.values()
    assert content.startswith(b"%PDF")
    assert attempt.result["report"]["size"] == len(content)


def test_what_dropbox_says_decides_about_the_job(uploading: Callable[..., Attempt]) -> None:
    busy = uploading(DropboxStandIn(troubles=[Trouble.BUSY])).outcome
    assert isinstance(busy, Retried)
    assert busy.delay.total_seconds() == 7
    full = uploading(DropboxStandIn(troubles=[Trouble.FULL])).outcome
    assert isinstance(full, Failed)
    assert "insufficient_space" in full.error.message


def upload(
    stand_in: DropboxStandIn,
    content: bytes,
    account: Account = ACCOUNT,
    *,
    times: int = 1,
    session: str | None = None,
) -> Any:
    async def uploading() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stand_in.app)) as http:
            dropbox = Dropbox(account, http, piece=100)
            return [
                await dropbox.upload(session or await dropbox.session(), "/a.pdf", content)
                for _ in range(times)
            ]

    return asyncio.run(uploading())


@pytest.mark.parametrize("size", [0, 1, 100, 101, 1050])
def test_a_file_goes_up_in_pieces(size: int) -> None:
    stand_in = DropboxStandIn()
    content = bytes(index % 251 for index in range(size))
    upload(stand_in, content)
    assert stand_in.files == {"/a.pdf": content}


def test_a_piece_that_was_half_heard_goes_on_where_it_stands() -> None:
    stand_in = DropboxStandIn(troubles=[None, Trouble.HALF_HEARD, None, Trouble.HALF_HEARD])
    content = bytes(index % 251 for index in range(950))
    upload(stand_in, content)
    assert stand_in.files == {"/a.pdf": content}


def test_a_token_that_runs_out_in_the_middle_is_made_anew() -> None:
    stand_in = DropboxStandIn(troubles=[None, Trouble.EXPIRED])
    upload(stand_in, bytes(500))
    assert (len(stand_in.files["/a.pdf"]), stand_in.tokens_given) == (500, 2)


def test_the_same_file_again_has_the_same_link() -> None:
    first, second = upload(DropboxStandIn(), b"x", times=2)
    assert first == second


def test_what_a_session_has_is_not_sent_again() -> None:
    stand_in = DropboxStandIn(troubles=[None, None, Trouble.DOWN])
    content = bytes(index % 251 for index in range(950))
    with pytest.raises(ServiceBusy):
        upload(stand_in, content, session=(session := opened(stand_in)))
    assert stand_in.received == 200
    upload(stand_in, content, session=session)
    assert (stand_in.files, stand_in.received) == ({"/a.pdf": content}, 950)


@pytest.mark.parametrize("size", [0, 500])
def test_a_file_that_was_committed_by_one_who_died_is_linked(size: int) -> None:
    stand_in = DropboxStandIn()
    (first,) = upload(stand_in, bytes(size), session=(session := opened(stand_in)))
    (second,) = upload(stand_in, bytes(size), session=session)
    assert first == second
    assert stand_in.received == size


@pytest.mark.parametrize("size", [0, 500])
def test_a_session_that_is_no_longer_known_is_opened_anew(size: int) -> None:
    stand_in = DropboxStandIn()
    upload(stand_in, bytes(size), session="of last month")
    assert stand_in.files == {"/a.pdf": bytes(size)}


def opened(stand_in: DropboxStandIn) -> str:
    """The id of a session."""

    async def main() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stand_in.app)) as http:
            return await Dropbox(ACCOUNT, http).session()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("troubles", "kind"),
    [
        ([Trouble.DOWN], ServiceBusy),
        ([Trouble.BUSY], ServiceBusy),
        ([Trouble.FULL], ServiceRefused),
        ([Trouble.HALF_HEARD] * 9, ServiceBusy),
    ],
)
def test_troubles_are_told_apart(troubles: list[Trouble], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        upload(DropboxStandIn(troubles=troubles), bytes(500))


def test_an_app_that_dropbox_does_not_know_is_refused() -> None:
    import dataclasses

    with pytest.raises(ServiceRefused, match="does not know the app"):
        upload(DropboxStandIn(), b"x", dataclasses.replace(ACCOUNT, refresh_token="other"))


def test_secrets_are_in_no_repr() -> None:
    assert APP_SECRET not in repr(ACCOUNT)
