"""A report on the agencies of a suburb and one on its agents, of made-up sales."""

from infra.cli.demos.stage import DemoError, Demonstration, Stage

_SUBURB = {"suburb": "Newtown", "state": "NSW"}


def _play(stage: Stage) -> None:
    for type_ in ("reports.agency", "reports.agents"):
        result = stage.run(type_, _SUBURB, tag="demo").result
        stage.say(
            f"  {result['place']}: {result['sales']} sales by {result['rows']}; made up: {result['made_up']}"
        )
        if not stage.keep(result["report"]).read_bytes().startswith(b"%PDF-"):
            raise DemoError("the report is no PDF")


DEMO = Demonstration(extra="reports", modules=("fpdf",), play=_play)
