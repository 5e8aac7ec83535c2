"""The same three jobs for every queue, one file each, in an environment of its own."""
