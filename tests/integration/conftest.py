"""What the integration tests leave alone."""

collect_ignore = ["project"]  # its handlers are for worker processes
