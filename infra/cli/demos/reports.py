"""A report on the agencies of a suburb and one on its agents, of made-up sales, by way of Dropbox to Make; both are stand-ins."""

from collections.abc import Mapping
from contextlib import ExitStack

from infra.cli.background import serving
from infra.cli.demos.stage import DemoError, Demonstration, Stage
from infra.cli.standins import dropbox
from infra.cli.standins.make import MakeStandIn

_SUBURB = {"suburb": "Newtown", "state": "NSW"}


def _variables(stack: ExitStack) -> Mapping[str, str]:
    url = stack.enter_context(serving(dropbox.DropboxStandIn(troubles=[dropbox.Trouble.EXPIRED]).app))
    return {
        "DROPBOX_API_URL": url,
        "DROPBOX_CONTENT_URL": url,
        "DROPBOX_APP_KEY": dropbox.APP_KEY,
        "DROPBOX_APP_SECRET": dropbox.APP_SECRET,
        "DROPBOX_REFRESH_TOKEN": dropbox.REFRESH_TOKEN,
    }


def _play(stage: Stage) -> None:
    make = MakeStandIn(lambda bundle: stage.hear(bundle.headers, bundle.body))
    with serving(make.app) as url:
        for type_ in ("reports.agency", "reports.agents"):
            result = stage.run(type_, _SUBURB, tag="demo", callback_url=f"{url}/reports").result
            stage.say(f"  Make answered {make.answers[-1]!r}, and gave it to its scenario")
            stage.say(
                f"  {result['place']}: {result['sales']} sales by {result['rows']}; made up: {result['made_up']}"
            )
            if not stage.keep(result["report"]).read_bytes().startswith(b"%PDF-"):
                raise DemoError("the report is no PDF")


DEMO = Demonstration(extra="reports", variables=_variables, play=_play)
