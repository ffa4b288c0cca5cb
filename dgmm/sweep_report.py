"""The former module of the report of a sweep, for old imports."""

from dgmm.pages.sweep import write_report

__all__ = ["write_report"]
