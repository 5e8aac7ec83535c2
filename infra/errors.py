"""The one base of all errors that Hookline raises on purpose.

HooklineError
├── SettingsError            (infra.settings)      a variable or the sources' file is wrong
├── SignatureError           (infra.signatures)    a request can't be trusted
├── EgressError              (infra.egress)        an address must not, or can't, be called
├── LedgerError              (infra.ledger)        Redis did not confirm
├── EmbeddedServerError      (infra.embedded)      no server could be started
├── HandlerError             (handlers)            a handler is declared wrongly
└── Problem                  (ingest.problems)     a refusal, with its HTTP status
"""


class HooklineError(Exception):
    """Base of every error that Hookline raises on purpose; its text may be shown to an operator."""
