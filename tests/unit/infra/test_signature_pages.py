"""The pages of ``docs/providers``: made of the table, and still what it says."""

from pathlib import Path

import pytest

from infra.settings import Settings
from infra.signatures import providers
from infra.signatures.pages import FOLDER, pages, write
from ingest.sources import load_sources

MADE = pages(providers())
PUBLIC = Settings.load({"HOOKLINE_PUBLIC_URL": "https://hooks.example.com"})


def test_every_provider_has_a_page_and_no_page_is_a_stray() -> None:
    assert {page.name for page in FOLDER.glob("*.md")} == set(MADE)


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_page_is_what_the_table_makes_of_it(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == MADE[name], "run `make docs`"


@pytest.mark.parametrize("name", sorted(providers()))
def test_a_page_says_where_to_click_and_its_source_is_one(name: str) -> None:
    page = MADE[f"{name}.md"]
    table = page.partition("```toml\n")[2].partition("```")[0]

    sources = load_sources(PUBLIC, {}, read_file=lambda _: table)

    assert providers()[name].setup in page
    assert [(source.name, source.provider) for source in sources] == [(name, name)]


@pytest.mark.parametrize("name", sorted(providers()))
def test_the_schemes_that_a_page_offers_exist(name: str) -> None:
    page = MADE[f"{name}.md"]
    assert [scheme for scheme in providers()[name].schemes if f"\n| `{scheme}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("github", "in the body (`json:`), not in a header"),
        ("make", "- `request`: A job's callback URL may stand in the configuration, in the body"),
        ("monday", "the configuration only, and the answer has no `status_url`"),
        ("stripe", "at most 5m away, 1d ahead"),
        ("square", "`HOOKLINE_PUBLIC_URL` has to be what the provider calls"),
        ("notion", "SOURCE_NOTION_HANDSHAKE=open"),
        ("sendgrid", "the items of `$`, each an event of its own"),
        ("discord", "a private key as PEM"),
        ("static", "SOURCE_STATIC_HEADER=X-Acme-Signature"),
        ("bearer", "the `Idempotency-Key` header; without one, each request is a new event"),
    ],
)
def test_a_page_says_what_is_peculiar(name: str, says: str) -> None:
    assert says in MADE[f"{name}.md"]


def test_writing_removes_the_page_of_a_provider_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("# Gone\n", encoding="utf-8")

    write(tmp_path)

    assert {page.name for page in tmp_path.iterdir()} == set(MADE)
