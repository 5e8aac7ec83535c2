"""One web process over several ledgers, each whole, on a server of its own (ADR 0021)."""
