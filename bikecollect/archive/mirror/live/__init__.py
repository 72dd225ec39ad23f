"""The copy of open days in the mirror: ``live/``."""
