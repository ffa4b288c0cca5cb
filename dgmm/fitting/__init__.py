"""From passes to a fitted mixture."""
