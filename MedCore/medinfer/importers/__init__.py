"""Public formats of other projects, turned into model packages."""
