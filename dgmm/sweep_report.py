"""The former place of `dgmm.pages.sweep`, for programs that have the report of a sweep from here."""

from dgmm.pages.sweep import write_report

__all__ = ["write_report"]
