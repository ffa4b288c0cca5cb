"""Criteria that choose between models, from the log-likelihood of all rows: lower is better."""

from __future__ import annotations

import math


def bic(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """Bayesian information criterion (Schwarz 1978); ``log_likelihood`` in nats, of all rows."""
    return -2.0 * log_likelihood + n_parameters * math.log(n_rows)


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike information criterion (1974); ``log_likelihood`` in nats, of all rows."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def icl(log_likelihood: float, n_parameters: int, n_rows: float, entropy: float) -> float:
    """Integrated completed likelihood (Biernacki, Celeux and Govaert 2000): BIC and twice the entropy.

    ``log_likelihood`` and ``entropy`` of the responsibilities (see `dgmm.model.entropy`) in nats, of all.
    """
    return bic(log_likelihood, n_parameters, n_rows) + 2.0 * entropy
