"""Which shared secrets sign a callback: those of the API key that its job came with, those of its source, or the house's."""

from collections.abc import Mapping, Sequence

from infra.settings import Settings, SettingsError
from infra.signatures.errors import SchemeError
from infra.signatures.standard_webhooks import whsec_key


class CallbackSecrets:
    """The secrets of this process, ``whsec_…``, always the newest first.

    Args:
        house: those of who has none of its own.
        sources: by the names of sources.
        keys: by the names of API keys.

    >>> secrets = CallbackSecrets(["whsec_h"], sources={"acme": ["whsec_a"]}, keys={"crm": ["whsec_c"]})
    >>> [secrets.of(source) for source in ("api", "acme")], secrets.of("api", "crm")
    ([('whsec_h',), ('whsec_a',)], ('whsec_c',))

    What was accepted for a key's own secret is signed with no other:

    >>> secrets.of("api", "gone")
    ()
    """

    def __init__(
        self,
        house: Sequence[str] = (),
        *,
        sources: Mapping[str, Sequence[str]] | None = None,
        keys: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.house = tuple(house)
        self._sources = {name: tuple(secrets) for name, secrets in (sources or {}).items() if secrets}
        self._keys = {name: tuple(secrets) for name, secrets in (keys or {}).items()}

    def of(self, source: str, key: str | None = None) -> tuple[str, ...]:
        """Those that sign for a job of that source; empty: there are none, so nothing may be sent.

        Args:
            key: the API key whose own secrets were promised when the job was accepted.
        """
        return self._sources.get(source, self.house) if key is None else self._keys.get(key, ())


def callback_secrets_of(settings: Settings, sources: Mapping[str, Sequence[str]]) -> CallbackSecrets:
    """Those that the settings name.

    Args:
        sources: the own secrets of sources, by their names; they were checked with their table.

    Raises:
        SettingsError: one of them is none.
    """
    house, keys = settings.callback_secrets or (), secrets_by_key(settings)
    _check("HOOKLINE_CALLBACK_SECRET", house)
    _check("HOOKLINE_API_KEY_CALLBACK_SECRETS", [secret for secrets in keys.values() for secret in secrets])
    return CallbackSecrets(house, sources=sources, keys=keys)


def secrets_by_key(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The own secrets of API keys, by the keys' names.

    >>> secrets_by_key(Settings.load({"HOOKLINE_API_KEY_CALLBACK_SECRETS": "crm:whsec_bmV3,crm:whsec_b2xk"}))
    {'crm': ('whsec_bmV3', 'whsec_b2xk')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in settings.api_key_callback_secrets:
        found[entry.key] = (*found.get(entry.key, ()), entry.secret)
    return found


def _check(variable: str, secrets: Sequence[str]) -> None:
    try:
        for secret in secrets:
            whsec_key(secret)
    except SchemeError as error:
        raise SettingsError(f"{variable}: {error}") from None
