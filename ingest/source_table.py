"""Where the sources' table comes from: the file, the ``SOURCE_<NAME>_<KEY>`` variables, and what secrets refer to.

This module reads and merges text; `ingest.sources` says what the text means. A fault names the variable, or the file, table
and key, never a value.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.settings import SettingsError

ReadFile = Callable[[str], str]

PARAMETERS = frozenset(
    {
        "header",
        "signed",
        "algorithm",
        "encoding",
        "prefix",
        "timestamp_header",
        "timestamp_unit",
        "timestamp_field",
        "item_separator",
        "version_separator",
        "tolerance",
        "id_header",
        "key_encoding",
        "keys_url",
        "key_id_header",
        "auth_scheme",
        "body_claim",
        "body_encoding",
        "signature",
        "items",
        "join",
        "timestamp",
    }
)
LISTS = frozenset({"versions", "required", "fields"})
TABLES = frozenset({"claims"})
KEYS = (
    PARAMETERS
    | LISTS
    | TABLES
    | {
        "provider",
        "scheme",
        "secret",
        "queue",
        "event_id",
        "event_type",
        "callback_url",
        "callback_secret",
        "callback_format",
        "callback_events",
        "callback_max_body",
        "max_body",
        "rate",
        "tag",
        "wait_key",
        "spread_by",
        "handshake",
        "verify_token",
    }
)
MAKES_A_SOURCE = frozenset({"secret", "handshake"})  # one of these variables is enough

_LONGEST_FIRST = sorted(KEYS, key=lambda key: (-len(key), key))
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_VARIABLE = re.compile(r"SOURCE_([A-Z0-9_]+)", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(slots=True)
class Row:
    """One source's keys as text, and where each was written.

    Args:
        where: where a key would stand that nobody wrote, such as ``sources.toml [acme]`` or ``SOURCE_ACME_SECRET``.
        origins: where the keys stand that somebody wrote.
    """

    name: str
    where: str
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[str, str] = field(default_factory=dict)

    def set(self, key: str, value: Any, origin: str) -> None:
        """Write a key, or write it over."""
        self.values[key] = value
        self.origins[key] = origin

    def fault(self, key: str, message: str) -> SettingsError:
        """The error that says what is wrong with a key."""
        origin = self.origins.get(key)
        return SettingsError(f"{origin}: {message}" if origin else f"{self.where}: {key} {message}")

    def text(self, key: str) -> str | None:
        """A key's text, or None if nobody wrote it."""
        texts = self.texts(key)
        if len(texts) > 1:
            raise self.fault(key, "takes one value")
        return texts[0] if texts else None

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a key that may be a list."""
        if key not in self.values:
            return ()
        value = self.values[key]
        texts = tuple(value) if isinstance(value, list) else (value,)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise self.fault(key, "needs text")
        return tuple(text.strip() for text in texts)

    def table(self, key: str) -> dict[str, Any] | None:
        """A key's table of words, whole numbers, booleans and lists of words; None if nobody wrote it."""
        if key not in self.values:
            return None
        table = self.values[key]
        if not isinstance(table, dict) or not table or not all(map(_is_plain, table.values())):
            raise self.fault(key, 'needs a table in the file, such as { iss = "https://acme.example" }')
        return dict(table)

    def secrets(self, key: str, environ: Mapping[str, str], read_file: ReadFile) -> tuple[str, ...]:
        """The secrets that a key holds, or refers to; none if what it refers to is not set.

        A variable holds them; the file refers to them by ``env:NAME`` or ``file:PATH``. Both may be comma-separated.

        Raises:
            SettingsError: a literal secret in the file, a file that can't be read, or an empty secret.
        """
        texts = self.texts(key)
        if self.origins.get(key, "").startswith("SOURCE_"):
            return self._split(key, texts[0])
        found: list[str] = []
        for reference in (part.strip() for text in texts for part in text.split(",")):
            kind, _, target = reference.partition(":")
            if kind == "env" and _ENVIRONMENT_NAME.fullmatch(target):
                held = environ.get(target, "")
                found += self._split(key, held) if held else ()
            elif kind == "file" and target:
                try:
                    held = read_file(target)
                except (OSError, UnicodeDecodeError):
                    raise self.fault(key, "refers to a file that can't be read") from None
                found += self._split(key, held)
            else:
                raise self.fault(key, "needs env:NAME or file:PATH; a literal secret is refused")
        return tuple(found)

    def _split(self, key: str, held: str) -> tuple[str, ...]:
        secrets = tuple(secret.strip() for secret in held.split(","))
        if not all(secrets):
            raise self.fault(key, "has an empty secret")
        return secrets


def read_rows(
    path: str, environ: Mapping[str, str], read_file: ReadFile
) -> tuple[Mapping[str, Row], tuple[str, ...]]:
    """Merge the file with the environment.

    Returns:
        the rows by name, and the variables that read like a source's key and name no source.

    Raises:
        SettingsError: the file or a variable can't be understood.
    """
    rows = _read_file(path, read_file)
    return rows, _merge(rows, environ)


def _read_file(path: str, read_file: ReadFile) -> dict[str, Row]:
    try:
        tables = tomllib.loads(read_file(path))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"HOOKLINE_SOURCES: {path} can't be read") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at .*\)$", str(error))  # the words before it may quote the file
        raise SettingsError(f"{path}: is not TOML {place[0] if place else ''}".rstrip()) from None
    rows: dict[str, Row] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path} {name}: stands outside of a source's table")
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{path} [{name}]: a source's name has a-z, 0-9 and - only")
        row = rows[name] = Row(name, f"{path} [{name}]")
        for key, value in table.items():
            if key not in KEYS:
                raise SettingsError(f"{path} [{name}] {key}: is not a key of a source")
            row.set(key, value, f"{path} [{name}] {key}")
    return rows


def _merge(rows: dict[str, Row], environ: Mapping[str, str]) -> tuple[str, ...]:
    readings = {variable: read for variable in environ if (read := _readings(variable))}
    mentioned = set(rows).union(read[0][0] for read in readings.values())
    for variable, ((name, key), *others) in readings.items():
        for other, _ in others:
            if other in mentioned:
                raise SettingsError(
                    f"{variable}: reads as a key of {name} and of {other}; write it into the file"
                )
        if key in MAKES_A_SOURCE:
            rows.setdefault(name, Row(name, variable))
    ignored = []
    for variable, ((name, key), *_) in readings.items():
        if name not in rows:
            ignored.append(variable)
        elif key == "secret" or environ[variable] != "":
            rows[name].set(key, environ[variable], variable)
    owned = tuple(f"SOURCE_{name.replace('-', '_').upper()}_" for name in rows)
    for variable in environ:
        if variable.startswith(owned) and variable not in readings:
            raise SettingsError(f"{variable}: is not a key of a source")
    return tuple(ignored)


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, str) for each in value)
    return isinstance(value, str | int)


def _readings(variable: str) -> list[tuple[str, str]]:
    """The ways a variable reads as (source, key), the longest key first.

    >>> _readings("SOURCE_ACME_CALLBACK_SECRET")
    [('acme', 'callback_secret'), ('acme-callback', 'secret')]
    """
    match = _VARIABLE.fullmatch(variable)
    if match is None:
        return []
    endings = [(match[1].removesuffix(f"_{key.upper()}"), key) for key in _LONGEST_FIRST]
    named = [(name.lower().replace("_", "-"), key) for name, key in endings if name != match[1]]
    return [(name, key) for name, key in named if _NAME.fullmatch(name)]
