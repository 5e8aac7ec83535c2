"""``hookline keys``: new secrets for signing callbacks."""

import secrets

import click

from infra.cli.dev_state import environment_here
from infra.cli.tables import print_json, printable
from infra.settings import Settings


@click.group(name="keys")
def command() -> None:
    """Make secrets that sign callbacks."""


@command.command(name="new")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def new_keys(as_json: bool) -> None:
    """A new secret and a new ed25519 key, as the lines that go into the environment. Nothing is kept."""
    _print((), (), as_json=as_json)


@command.command(name="rotate")
@click.option("--api-key", metavar="NAME", help="Only a secret of its own for the API key of that name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def rotate_keys(api_key: str | None, as_json: bool) -> None:
    """The same, before those that are set now, so that all of them sign for a while."""
    settings = Settings.load(environment_here())
    if api_key is None:
        _print(settings.callback_secrets or (), settings.callback_private_keys, as_json=as_json)
    else:
        _print_own(api_key, settings, as_json=as_json)


def _print_own(api_key: str, settings: Settings, *, as_json: bool) -> None:
    from infra.signatures import new_whsec

    if api_key not in {key.name for key in settings.api_keys}:
        raise click.ClickException(f"HOOKLINE_API_KEYS has no {printable(api_key)}")
    secret = new_whsec(secrets.token_bytes)
    old = [f"{entry.key}:{entry.secret}" for entry in settings.api_key_callback_secrets]
    made = {"HOOKLINE_API_KEY_CALLBACK_SECRETS": ",".join([f"{api_key}:{secret}", *old])}
    if as_json:
        print_json(made)
        return
    for variable, value in made.items():
        click.echo(f"{variable}={value}")
    click.echo(f"# for its receivers: {secret}")


def _print(old_secrets: tuple[str, ...], old_keys: tuple[str, ...], *, as_json: bool) -> None:
    from infra.signatures import CallbackKey, new_whsec, new_whsk

    secret, private_key = new_whsec(secrets.token_bytes), new_whsk(secrets.token_bytes)
    key = CallbackKey(private_key)
    made = {
        "HOOKLINE_CALLBACK_SECRET": ",".join([secret, *old_secrets]),
        "HOOKLINE_CALLBACK_PRIVATE_KEY": ",".join([private_key, *old_keys]),
    }
    if as_json:
        print_json({**made, "public_key": key.public_key, "jwk": key.jwk})
        return
    for variable, value in made.items():
        click.echo(f"{variable}={value}")
    click.echo(f"# for receivers: {secret}, or only {key.public_key}, which verifies and can't sign")
