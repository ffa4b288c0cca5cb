"""An E-step and an M-step: what a fit climbs, over all rows of a source or over rows in memory."""
