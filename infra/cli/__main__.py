"""``python -m infra.cli``: the same as ``hookline``."""

from infra.cli import main

main()
