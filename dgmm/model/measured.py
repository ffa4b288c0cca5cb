"""Expected statistics of true values, given rows with measurement errors.

A row is ``x = v + e`` of a true value v and an error e of a known covariance S. Under component k, of mean m
and covariance V, it is normal with the covariance ``T = V + S``; with ``u = T⁻¹ (x − m)`` its true value has
the expectation ``m + V u`` and the covariance ``V − V T⁻¹ V``. EM on these is extreme deconvolution (Bovy,
Hogg and Roweis, 2011). What is expected is linear in u and in ``u uᵀ − T⁻¹``, the gradients of the log
density with respect to the mean and, twice, to the covariance: these are summed over rows before anything is
multiplied with V.
"""

from __future__ import annotations

from typing import NamedTuple

from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


class Gradients(NamedTuple):
    """Sums over rows that are measured with errors. Of features that a row lacks, u and T⁻¹ are zero.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        Sums of responsibilities r, times the weights of rows.
    means : ndarray of shape (K, D)
        Sums of ``r u``.
    covariances : ndarray of shape (K, D, D), or (K, D), its diagonals, of families without products
        Sums of ``r (u uᵀ − T⁻¹)``.
    lacking : ndarray of shape (K, D)
        Of the counts, those of rows that lack each feature.
    log_likelihood : float
        Sum of the rows' log densities, times their weights, nats.
    entropy : float
        Sum of ``r (H(v) + E log N(x; v, S))``, nats: of rows without errors, the entropy of what they lack.
        It makes of the log-likelihood of true values that of rows (`dgmm.model.entropy`).
    """

    counts: Array
    means: Array
    covariances: Array
    lacking: Array
    log_likelihood: float
    entropy: float

    def about(self, parameters: Parameters, points: Array) -> tuple[Array, Array]:
        """Return the expected sums and scatter of true values about points near the components.

        Parameters
        ----------
        parameters : Parameters
            A plain mixture: that of the gradients.
        points : ndarray of shape (K, D)

        Returns
        -------
        sums : ndarray of shape (K, D)
            Of ``r (v − point)``.
        scatter : ndarray of shape (K, D, D), or (K, D) of families without products
            Of ``r (v − point)(v − point)ᵀ``.
        """
        gaps, counts = parameters.means - points, self.counts[:, None]
        if not parameters.family.has_products:
            variances = parameters.variances
            moved = variances * self.means
            scatter = counts * (variances + gaps**2) + variances**2 * self.covariances + 2.0 * gaps * moved
            return moved + counts * gaps, scatter
        matrices = parameters.covariance_matrices
        moved = (matrices @ self.means[:, :, None])[..., 0]
        cross = gaps[:, :, None] * (moved + 0.5 * counts * gaps)[:, None, :]
        scatter = counts[:, :, None] * matrices + matrices @ self.covariances @ matrices
        # What rounding makes of its two halves would grow from step to step of a covariance that all share.
        scatter = 0.5 * (scatter + scatter.swapaxes(1, 2))
        return moved + counts * gaps, scatter + cross + cross.swapaxes(1, 2)
