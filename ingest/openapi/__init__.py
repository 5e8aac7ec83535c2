"""The API's description, OpenAPI 3.1, made of tables that tests hold against the application.

`calls` says what can be called and what it is refused with, `shapes` what is sent and answered; `document` puts them together.
"""

from ingest.openapi.document import document

__all__ = ["document"]
