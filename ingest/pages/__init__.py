"""Pages for people: Jinja2 templates, one stylesheet, small scripts of our own; nothing from anywhere else."""
