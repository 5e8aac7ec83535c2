"""Stand-ins for the services that handlers call, for the demo and for tests: they answer as the documents say."""
