"""``hookline openapi``: the API's description."""

import click

from infra.cli.tables import print_json


@click.command(name="openapi")
def command() -> None:
    """Print the OpenAPI document: what GET /openapi.json answers."""
    from ingest.openapi import document

    print_json(document())
