"""What the API takes and answers, as types that become JSON Schema (2020-12).

They describe what `ingest.views` make, and nothing makes them: tests hold every answer against them, and let no member pass that
is missing here. A member with ``UNSET`` is not always there. Values in `examples` are what the document's examples are put together from.
"""
