"""How fast Hookline is, beside its peers: `python -m benchmarks`. The method is in README.md."""
