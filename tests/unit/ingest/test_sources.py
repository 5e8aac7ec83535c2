"""The sources' table: the file, the variables, and every way in which they can be wrong."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.start import tell_start
from infra.expressions import Document
from infra.ledger.records import CallbackFormat, CallbackOptions
from infra.settings import Settings, SettingsError
from infra.signatures import Headers, SecretMissing, SignatureError, SignedRequest, providers
from ingest.source_table import KEYS
from ingest.sources import Source, Sources, load_sources

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ACME = """
[acme]
provider  = "hmac"
secret    = "env:ACME_SECRET"
header    = "X-Acme-Signature"
signed    = "{timestamp}.{body}"
algorithm = "sha256"
encoding  = "hex"
prefix    = "sha256="
timestamp_header = "X-Acme-Timestamp"
tolerance = "5m"
event_id  = "header:X-Acme-Delivery"
event_type = "json:$.type"
callback_url = "json:$.callback_url"
"""


def reader(files: Mapping[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read


def load(
    file: str = "",
    environ: Mapping[str, str] | None = None,
    *,
    files: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Sources:
    texts = {"sources.toml": file, **(files or {})}
    return load_sources(Settings.load(settings or {}), environ or {}, read_file=reader(texts))


def source(
    file: str = "", environ: Mapping[str, str] | None = None, *, settings: Mapping[str, str] | None = None
) -> Source:
    (only,) = load(file, environ, settings=settings)
    return only


def request(body: bytes = b"{}", /, **headers: str) -> SignedRequest:
    return SignedRequest(
        headers=Headers.of({key.replace("_", "-"): value for key, value in headers.items()}), body=body
    )


def document(of: SignedRequest) -> Document:
    return Document(headers=of.headers, body=of.body)


def test_a_secret_alone_makes_a_source_of_the_provider_of_its_name() -> None:
    github = source(environ={"SOURCE_GITHUB_SECRET": "s"})
    assert (github.name, github.provider, github.secrets) == ("github", "github", (b"s",))
    assert (github.queue, github.max_body, github.tag, github.callback_url) == (
        "default",
        1 << 20,
        None,
        None,
    )


def test_the_spelled_out_example_signs_and_verifies() -> None:
    acme = source(ACME, {"ACME_SECRET": "s3cret"})
    body = b'{"type":"row.added","callback_url":"https://hooks.example.com/done"}'
    headers = acme.scheme.sign(body, acme.secrets, now=NOW)
    assert set(headers) == {"X-Acme-Signature", "X-Acme-Timestamp"}
    sent = SignedRequest(headers=Headers.of(headers | {"x-acme-delivery": "d-1"}), body=body)
    acme.verify(sent, NOW)
    assert acme.identify(sent, document(sent)) == "d-1"
    assert acme.type_of(document(sent)) == "row.added"
    assert acme.callback_url is not None
    assert acme.callback_url.evaluate(document(sent)) == "https://hooks.example.com/done"


def test_a_variable_overrides_the_file() -> None:
    acme = source(
        ACME,
        {
            "ACME_SECRET": "in the file",
            "SOURCE_ACME_SECRET": "new,old",
            "SOURCE_ACME_QUEUE": "high",
            "SOURCE_ACME_PREFIX": "v0=",
            "SOURCE_ACME_TAG": "",
            "SOURCE_ACME_MAX_BODY": "2KiB",
            "SOURCE_ACME_CALLBACK_URL": "https://hooks.example.com/x",
            "SOURCE_ACME_CALLBACK_SECRET": WHSEC,
        },
    )
    assert (acme.secrets, acme.queue, acme.max_body, acme.tag) == ((b"new", b"old"), "high", 2048, None)
    assert acme.scheme.sign(b"", acme.secrets, now=NOW)["X-Acme-Signature"].startswith("v0=")
    assert acme.callback_secrets == (WHSEC,)


def test_an_underscore_in_a_variable_stands_for_a_hyphen() -> None:
    assert source(environ={"SOURCE_STANDARD_WEBHOOKS_SECRET": WHSEC}).name == "standard-webhooks"


def test_the_longest_known_key_at_the_end_of_a_variable_wins() -> None:
    github = source(environ={"SOURCE_GITHUB_SECRET": "s", "SOURCE_GITHUB_CALLBACK_SECRET": WHSEC})
    assert (github.secrets, github.callback_secrets) == ((b"s",), (WHSEC,))


@pytest.mark.parametrize(
    ("file", "environ"),
    [
        ('[acme-callback]\nprovider = "github"', {"SOURCE_ACME_CALLBACK_SECRET": "s"}),
        ("", {"SOURCE_ACME_CALLBACK_SECRET": "s", "SOURCE_ACME_CALLBACK_PROVIDER": "github"}),
        ('[github]\n[github-callback]\nprovider = "github"', {"SOURCE_GITHUB_CALLBACK_URL": "x", "SOURCE_GITHUB_CALLBACK_SECRET": "s"}),
    ],
)  # fmt: skip
def test_a_variable_that_reads_two_ways_stops_the_start(file: str, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^SOURCE_[A-Z]+_CALLBACK_SECRET: reads as a key of "):
        load(file, environ)


def test_variables_of_others_are_left_alone_and_named() -> None:
    sources = load(
        environ={"SOURCE_DATE_EPOCH": "0", "SOURCE_IMAGE_TAG": "x", "SOURCE_SECRET": "s", "OTHER": "y"}
    )
    assert (list(sources), sources.ignored) == ([], ("SOURCE_IMAGE_TAG",))


def test_secrets_come_from_variables_and_files_and_several_are_a_rotation() -> None:
    github = load(
        '[github]\nsecret = ["env:NEW", "file:/run/secrets/old", "env:UNSET"]',
        {"NEW": "new1, new2"},
        files={"/run/secrets/old": "old\n"},
    ).get("github")
    assert github is not None
    assert github.secrets == (b"new1", b"new2", b"old")
    assert source('[github]\nsecret = "env:A,env:B"', {"A": "a", "B": "b"}).secrets == (b"a", b"b")


@pytest.mark.parametrize("environ", [{}, {"GITHUB_SECRET": ""}])
def test_a_source_whose_secret_is_not_set_refuses_everything(environ: dict[str, str]) -> None:
    sources = load('[github]\nsecret = "env:GITHUB_SECRET"\n[make]', environ)
    assert sources.without_secret == ("github", "make")
    for each in sources:
        assert each.secrets == ()
        with pytest.raises(SecretMissing):
            each.verify(request(**each.scheme.sign(b"{}", [b"s"], now=NOW)), NOW)


def test_without_a_file_there_are_only_variables() -> None:
    settings = Settings.load({"HOOKLINE_SOURCES": "elsewhere.toml"})
    sources = load_sources(settings, {"SOURCE_GITHUB_SECRET": "s"}, read_file=reader({}))
    assert [each.name for each in sources] == ["github"]


def test_make_is_trusted_both_ways_and_a_source_names_one() -> None:
    by_key = source(environ={"SOURCE_MAKE_SECRET": "s"})
    by_mac = source(
        environ={"SOURCE_MAKE_SECRET": "s", "SOURCE_MAKE_SCHEME": "hmac", "SOURCE_MAKE_TOLERANCE": "10s"}
    )
    assert (by_key.scheme.covers, by_mac.scheme.covers) == ("request", "body")
    signed = {each: request(**each.scheme.sign(b"{}", each.secrets, now=NOW)) for each in (by_key, by_mac)}
    by_key.verify(signed[by_key], NOW)
    by_mac.verify(signed[by_mac], NOW)
    with pytest.raises(SignatureError):
        by_key.verify(signed[by_mac], NOW)
    with pytest.raises(SignatureError):
        by_mac.verify(signed[by_key], NOW)


def test_without_an_id_the_signed_content_tells_events_apart() -> None:
    make = source(environ={"SOURCE_MAKE_SECRET": "s", "SOURCE_MAKE_SCHEME": "hmac"})
    first = request(b"{}", X_Timestamp="1", Idempotency_Key="ignored, for nothing signs it")
    again, later, other = (
        request(b"{}", X_Timestamp="1"),
        request(b"{}", X_Timestamp="2"),
        request(b"[]", X_Timestamp="1"),
    )
    ids = [make.identify(each, document(each)) for each in (first, again, later, other)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each or "") for each in ids)


def test_a_static_key_has_no_deduplication_without_an_idempotency_key_or_an_event_id() -> None:
    bare, keyed = request(b'{"id":"i"}'), request(b'{"id":"i"}', Idempotency_Key="k")
    plain = source(environ={"SOURCE_MAKE_SECRET": "s"})
    assert (plain.identify(bare, document(bare)), plain.identify(keyed, document(keyed))) == (None, "k")
    own = source(environ={"SOURCE_MAKE_SECRET": "s", "SOURCE_MAKE_EVENT_ID": "json:$.id"})
    assert (own.identify(bare, document(bare)), own.identify(keyed, document(keyed))) == ("i", "i")


def test_an_event_without_a_type_has_a_type_all_the_same() -> None:
    sent = request(b"not json")
    assert source(environ={"SOURCE_MAKE_SECRET": "s"}).type_of(document(sent)) == "event"
    assert source(environ={"SOURCE_BEARER_SECRET": "s"}).type_of(document(sent)) == "event"


@pytest.mark.parametrize(
    ("environ", "content_type", "expected"),
    [
        ({"SOURCE_FIREFLIES_SECRET": "s"}, "text/plain", True),
        ({"SOURCE_GITHUB_SECRET": "s"}, "application/json; charset=utf-8", True),
        ({"SOURCE_GITHUB_SECRET": "s"}, "Application/CloudEvents+JSON", True),
        ({"SOURCE_GITHUB_SECRET": "s"}, "application/x-www-form-urlencoded", False),
        ({"SOURCE_GITHUB_SECRET": "s", "SOURCE_GITHUB_EVENT_TYPE": "json:$.x"}, "", True),
        ({"SOURCE_MAKE_SECRET": "s"}, "application/x-www-form-urlencoded", False),
    ],
)
def test_where_json_is_expected_nothing_else_is_taken(
    environ: dict[str, str], content_type: str, expected: bool
) -> None:
    assert source(environ=environ).must_be_json(content_type) is expected


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ({"PROVIDER": "github", "CALLBACK_URL": "https://hooks.example.com/x"}, True),
        ({"PROVIDER": "github", "CALLBACK_URL": "json:$.callback_url"}, True),
        ({"PROVIDER": "github", "CALLBACK_URL": "header:X-Callback"}, False),
        ({"PROVIDER": "github", "CALLBACK_URL": "https://{header:X-Host}.example.com"}, False),
        ({"PROVIDER": "bearer", "CALLBACK_URL": "header:X-Callback"}, True),
        ({"PROVIDER": "bearer", "CALLBACK_URL": "form:callback_url"}, True),
        ({"PROVIDER": "github", "CALLBACK_URL": "form:callback_url"}, True),
        ({"PROVIDER": "mailgun", "CALLBACK_URL": "form:callback_url"}, False),
        ({"PROVIDER": "github", "CALLBACK_URL": "https://{form:host}.example.com/{header:X-Path}"}, False),
        ({"PROVIDER": "make", "CALLBACK_URL": "json:$.callback_url"}, True),
        (
            {"PROVIDER": "hmac", "HEADER": "S", "SIGNED": "fixed", "CALLBACK_URL": "json:$.callback_url"},
            False,
        ),
        (
            {
                "PROVIDER": "hmac",
                "HEADER": "S",
                "SIGNED": "fixed",
                "CALLBACK_URL": "https://hooks.example.com/x",
            },
            True,
        ),
        ({"PROVIDER": "github", "CALLBACK_URL": "somewhere"}, False),
    ],
)
def test_a_callback_url_is_taken_only_from_what_the_secret_vouches_for(
    keys: dict[str, str], fits: bool
) -> None:
    environ = {"SOURCE_X_SECRET": "s"} | {f"SOURCE_X_{key}": value for key, value in keys.items()}
    if fits:
        assert source(environ=environ).callback_url is not None
    else:
        with pytest.raises(SettingsError, match=r"^SOURCE_X_CALLBACK_URL: "):
            load(environ=environ)


def test_a_signed_url_needs_our_public_url() -> None:
    environ = {
        "SOURCE_X_SECRET": "s",
        "SOURCE_X_PROVIDER": "hmac",
        "SOURCE_X_HEADER": "S",
        "SOURCE_X_SIGNED": "{url}{body}",
    }
    assert source(
        environ=environ, settings={"HOOKLINE_PUBLIC_URL": "https://hooks.example.com"}
    ).scheme.needs_url
    with pytest.raises(SettingsError, match=r"^SOURCE_X_SIGNED: .*HOOKLINE_PUBLIC_URL"):
        load(environ=environ)


FAULTS = [
    # the file as a whole
    ("[github", {}, "sources.toml: is not TOML"),
    ('secret = "hunter2"', {}, "sources.toml secret: stands outside of a source's table"),
    ("[GitHub]", {}, "sources.toml [GitHub]: a source's name has a-z, 0-9 and - only"),
    ('["git hub"]', {}, "sources.toml [git hub]: a source's name has"),
    # names
    ("[api]", {}, "sources.toml [api]: the name api is reserved"),
    ("", {"SOURCE_API_SECRET": "hunter2"}, "SOURCE_API_SECRET: the name api is reserved"),
    # keys
    ("[github]\nsecrets = 'hunter2'", {}, "sources.toml [github] secrets: is not a key of a source"),
    ("[github]\nqueue = 7", {}, "sources.toml [github] queue: needs text"),
    ("[github]\nqueue = ['hunter2', 'x']", {}, "sources.toml [github] queue: takes one value"),
    ("[github]\nevent_id = []", {}, "sources.toml [github] event_id: needs text"),
    ("[github]", {"SOURCE_GITHUB_SECRT": "hunter2"}, "SOURCE_GITHUB_SECRT: is not a key of a source"),
    ("[github]", {"SOURCE_GITHUB_QUEUE": "hunter2!"}, "SOURCE_GITHUB_QUEUE: needs letters"),
    ("[github]", {"SOURCE_GITHUB_MAX_BODY": "hunter2"}, "SOURCE_GITHUB_MAX_BODY: needs a size"),
    ("[github]", {"SOURCE_GITHUB_TAG": "hunter2" * 20}, "SOURCE_GITHUB_TAG: needs at most"),
    # providers and their parameters
    ("[acme]", {}, "sources.toml [acme]: provider needs one of: adyen"),
    ("", {"SOURCE_ACME_SECRET": "hunter2"}, "SOURCE_ACME_SECRET: provider needs one of: adyen"),
    ("[acme]\nprovider = 'hunter2'", {}, "sources.toml [acme] provider: needs one of: adyen"),
    ("[acme]\nprovider = 'hmac'", {}, "sources.toml [acme]: header is needed"),
    (
        "[acme]\nprovider = 'hmac'\nheader = 'S'\nalgorithm = 'hunter2'",
        {},
        "sources.toml [acme] algorithm: needs one of",
    ),
    (
        "[acme]\nprovider = 'hmac'\nheader = 'S'\nsigned = '{hunter2}'",
        {},
        "sources.toml [acme] signed: needs a template",
    ),
    ("[github]\nheader = 'hunter2'", {}, "sources.toml [github] header: is not a key of provider github"),
    ("[github]\nscheme = 'hunter2'", {}, "sources.toml [github] scheme: needs one of: hmac"),
    ("[github]\ntolerance = '5m'", {}, "sources.toml [github] tolerance: means nothing"),
    ("[make]\nscheme = 'hmac'\ntolerance = 'hunter2'", {}, "sources.toml [make] tolerance: not a duration"),
    # expressions
    ("[github]\nevent_id = 'hunter2'", {}, "sources.toml [github] event_id: is the same for every event"),
    ("[github]\nwait_key = 'hunter2'", {}, "sources.toml [github] wait_key: is the same for every event"),
    (
        "[schedule]\nprovider = 'github'",
        {},
        "sources.toml [schedule]: the name schedule is reserved, for recurring handlers",
    ),
    ("[github]\nevent_type = 'jsn:hunter2'", {}, "sources.toml [github] event_type: needs header:NAME"),
    # handshakes
    ("[github]\nhandshake = 'open'", {}, "sources.toml [github] handshake: is not a key of provider github"),
    ("[notion]\nhandshake = 'hunter2'", {}, "sources.toml [notion] handshake: needs open or closed"),
    (
        "[slack]\nverify_token = 'env:T'",
        {"T": "hunter2"},
        "sources.toml [slack] verify_token: is not a key of provider slack",
    ),
    ("[meta]\nverify_token = 'hunter2'", {}, "sources.toml [meta] verify_token: needs env:NAME or file:PATH"),
    (
        "[line]\nevent_id = ['json:$.id', 'header:X-Id']",
        {},
        "sources.toml [line] event_id: is the same for every event",
    ),
    # secrets
    ("[github]\nsecret = 'hunter2'", {}, "sources.toml [github] secret: needs env:NAME or file:PATH"),
    ("[github]\nsecret = 'env:hunter-2'", {}, "sources.toml [github] secret: needs env:NAME or file:PATH"),
    (
        "[github]\nsecret = 'file:/hunter2'",
        {},
        "sources.toml [github] secret: refers to a file that can't be read",
    ),
    ("[github]\nsecret = 'env:A'", {"A": "hunter2,"}, "sources.toml [github] secret: has an empty secret"),
    ("[github]\nsecret = 'env:A'", {"A": " "}, "sources.toml [github] secret: has an empty secret"),
    ("", {"SOURCE_GITHUB_SECRET": ""}, "SOURCE_GITHUB_SECRET: needs text"),
    ("", {"SOURCE_GITHUB_SECRET": "hunter2,,x"}, "SOURCE_GITHUB_SECRET: has an empty secret"),
    (
        "",
        {"SOURCE_STANDARD_WEBHOOKS_SECRET": "whsec_hunter2!"},
        "SOURCE_STANDARD_WEBHOOKS_SECRET: needs base64",
    ),
    (
        "",
        {"SOURCE_GITHUB_SECRET": "s", "SOURCE_GITHUB_CALLBACK_SECRET": "hunter2"},
        "SOURCE_GITHUB_CALLBACK_SECRET: needs whsec_",
    ),
]


@pytest.mark.parametrize(("file", "environ", "message"), FAULTS)
def test_a_fault_stops_the_start_with_a_line_that_names_the_place(
    file: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(file, environ)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_can_not_be_read_is_named() -> None:
    def deny(path: str) -> str:
        raise PermissionError(path)

    with pytest.raises(SettingsError, match=r"^HOOKLINE_SOURCES: sources\.toml can't be read"):
        load_sources(Settings.load({}), {}, read_file=deny)


def test_the_representation_shows_no_secret() -> None:
    sources = load(
        ACME,
        {
            "ACME_SECRET": "hunter2",
            "SOURCE_ACME_CALLBACK_SECRET": WHSEC,
            "SOURCE_ACME_CALLBACK_URL": "https://x/hunter2",
        },
    )
    assert "hunter2" not in repr(sources)
    assert WHSEC not in repr(sources)
    assert "acme" in repr(sources)


def test_the_file_that_is_shipped_loads_and_its_commented_examples_too() -> None:
    text = (ROOT / "sources.toml").read_text(encoding="utf-8")
    shipped = load(text, {"FIREFLIES_SECRET": "a", "MAKE_SECRET": "b"})
    assert ([each.name for each in shipped], shipped.without_secret) == (["fireflies", "make"], ())
    tables = text[text.index("# [github]") :]
    examples = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", tables)
    environ = {"GITHUB_SECRET": "a", "BILLING_SECRET": WHSEC, "ACME_SECRET": "b", "ZAPIER_SECRET": "c"}
    environ |= {"META_APP_SECRET": "e", "META_VERIFY_TOKEN": "f", "HASHED_SECRET": "g", "INSIDE_SECRET": "h"}
    public = {"HOOKLINE_PUBLIC_URL": "https://hooks.example.com"}
    more = load(examples, environ, files={"/run/secrets/intranet": "d"}, settings=public)
    assert [each.name for each in more] == [
        "github",
        "billing",
        "acme",
        "signed-by-a-key",
        "with-a-token",
        "hashed",
        "signed-inside",
        "notion",
        "meta",
        "zapier",
        "intranet",
    ]
    assert more.without_secret == more.open_to_secrets == ("notion",)


def test_a_source_can_wait_for_the_secret_that_its_provider_brings() -> None:
    sources = load("", {"SOURCE_NOTION_HANDSHAKE": "open"})
    assert sources.open_to_secrets == sources.without_secret == ("notion",)
    assert load("", {"SOURCE_NOTION_SECRET": "s", "SOURCE_NOTION_HANDSHAKE": "closed"}).open_to_secrets == ()


@pytest.mark.parametrize("path", ["docs/sources.md", "sources.toml"])
def test_every_key_is_documented(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [key for key in sorted(KEYS) if not re.search(rf"\b{key}\b", text)] == []


def test_every_provider_is_documented() -> None:
    text = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    assert [name for name in providers() if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    ("heading", "has"), [("Handshakes", "handshakes"), ("Several events in one body", "batch")]
)
def test_every_provider_of_a_kind_is_named_where_it_is_explained(heading: str, has: str) -> None:
    text = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    named = [name for name, each in providers().items() if getattr(each, has)]
    assert named
    assert [
        name for name in named if f"`{name}`" not in section and providers()[name].title not in section
    ] == []


@given(
    st.dictionaries(
        st.builds(
            lambda name, key: f"SOURCE_{name}_{key.upper()}",
            st.sampled_from(["GITHUB", "MAKE", "A", "A_CALLBACK", "_", "A-B"]),
            st.sampled_from([*sorted(KEYS), "x", ""]),
        ),
        st.text(max_size=20) | st.sampled_from(["github", "hmac", WHSEC, "json:$.a", "5m", "1KiB"]),
    )
)
def test_whatever_the_variables_say_the_only_failure_is_the_documented_one(environ: dict[str, str]) -> None:
    try:
        assert load(ACME, environ).get("acme") is not None
    except SettingsError:
        return


# -- how to call back --------------------------------------------------------------------------------------------------


def test_a_source_says_how_it_is_called_back() -> None:
    table = """
        [acme]
        provider = "github"
        callback_format = "cloudevents"
        callback_events = ["progress"]
        callback_max_body = "512KiB"
    """
    wanted = CallbackOptions(format=CallbackFormat.CLOUDEVENTS, progress=True, max_body=512 << 10)
    assert source(table).callback_options == wanted
    variables = {
        "SOURCE_GITHUB_SECRET": "s",
        "SOURCE_GITHUB_CALLBACK_FORMAT": "result",
        "SOURCE_GITHUB_CALLBACK_EVENTS": "progress",
    }
    assert source(environ=variables).callback_options == CallbackOptions(
        format=CallbackFormat.RESULT, progress=True
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callback_format", '"xml"'),
        ("callback_events", '["finished"]'),
        ("callback_max_body", '"10MiB"'),
        ("callback_max_body", '"0B"'),
        ("callback_max_body", '"much"'),
    ],
)
def test_a_way_to_call_back_that_is_none_stops_the_start(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"sources\.toml \[acme\] {key}: "):
        source(f'[acme]\nprovider = "github"\n{key} = {value}')


@pytest.mark.parametrize(
    ("window", "outlasting"),
    [("72h", ()), ("10m", ("mailgun", "stripe")), ("1m", ("acme", "mailgun", "stripe"))],
)
def test_a_tolerance_that_is_longer_than_the_window_is_known(
    window: str, outlasting: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    file = f"{ACME}[stripe]\n[mailgun]\n[github]\n[bearer]\n"  # stripe's goes a day ahead
    settings = Settings.load({"HOOKLINE_DEDUP_WINDOW": window})
    sources = load(file)
    assert tuple(sorted(sources.outlasting(settings.dedup_window))) == outlasting
    with caplog.at_level("WARNING"):
        tell_start(settings, sources, 8000)
    told = [message.split()[1] for message in caplog.messages if "an old request is new again" in message]
    assert tuple(sorted(told)) == outlasting
