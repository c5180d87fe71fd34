"""Readers of other formats, each in its own module; none trusts the file it reads."""
