"""The operator's console: pages under ``/console`` that show what happened and mend it, rendered here, working without scripts.

`ingest.console.door` lets people in; `ingest.console.visit` is what every page and every act stands on; the other modules are one
topic each. A new page is a `View`, its template, and a row in `ingest.console.console`.
"""
