"""What tutorials on mixtures do with scikit-learn, with only the import changed.

Everything runs twice: on NumPy arrays, and on Dask arrays, whose predictions are Dask arrays too.

    python examples/tutorial.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from dgmm import GaussianMixture  # instead of: from sklearn.mixture import GaussianMixture

Wrap = Callable[[np.ndarray], Any]
SEED = 7


def blobs(centres: Sequence[Sequence[float]], sizes: Sequence[int], scales: Sequence[float]) -> np.ndarray:
    """Draw round clusters, one after the other."""
    rng = np.random.default_rng(SEED)
    parts = [
        centre + scale * rng.standard_normal((size, len(centre)))
        for centre, size, scale in zip(np.asarray(centres, float), sizes, scales, strict=True)
    ]
    return np.concatenate(parts)


def two_clusters(wrap: Wrap) -> None:
    """Find the means of two clusters of different shape, and who belongs to which."""
    rng = np.random.default_rng(SEED)
    shifted = 20.0 + rng.standard_normal((3_000, 2))
    stretched = rng.standard_normal((3_000, 2)) @ [[0.0, -0.7], [3.5, 0.7]]
    X = wrap(np.concatenate([shifted, stretched]))

    gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    order = np.argsort(gmm.means_[:, 0])
    print("means:", gmm.means_[order].round(2).tolist())
    np.testing.assert_allclose(gmm.means_[order], [[0.0, 0.0], [20.0, 20.0]], atol=0.25)

    labels = np.asarray(gmm.predict(X))
    truth = np.repeat([0, 1], 3_000)
    assert adjusted_rand_score(truth, labels) == 1.0


def four_covariance_types(wrap: Wrap) -> None:
    """Compare how freely covariances may differ: the least flexible that fits has the lowest BIC."""
    rng = np.random.default_rng(SEED)
    common_shape = np.array([[1.0, 0.6], [0.0, 0.5]])
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    X = wrap(np.concatenate([rng.standard_normal((1_000, 2)) @ common_shape + centre for centre in centres]))

    bic = {}
    for covariance_type in ("spherical", "diag", "tied", "full"):
        gmm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
        bic[covariance_type] = gmm.bic(X)
        shape = gmm.covariances_.shape
        print(f"{covariance_type:>9}: covariances_ of shape {shape}, BIC {bic[covariance_type]:.0f}")
    assert min(bic, key=lambda name: bic[name]) == "tied"


def number_of_components(wrap: Wrap) -> None:
    """Choose the number of components by AIC and BIC."""
    X = wrap(blobs([[-6, 0], [0, 6], [6, 0], [0, -6]], sizes=[500] * 4, scales=[0.9] * 4))

    candidates = range(1, 8)
    models = [GaussianMixture(k, n_init=2, random_state=0).fit(X) for k in candidates]
    bic = [model.bic(X) for model in models]
    aic = [model.aic(X) for model in models]
    for k, b, a in zip(candidates, bic, aic, strict=True):
        print(f"{k} components: BIC {b:8.0f}  AIC {a:8.0f}")
    assert candidates[np.argmin(bic)] == 4
    assert np.argmin(aic) >= 3  # AIC is the more generous


def soft_assignments(wrap: Wrap) -> None:
    """See how sure the mixture is of each row, and where it is not."""
    X = wrap(blobs([[-1.5, 0], [1.5, 0]], sizes=[1_000, 1_000], scales=[1, 1]))
    truth = np.repeat([0, 1], 1_000)

    gmm = GaussianMixture(2, random_state=0).fit(X)
    probabilities = np.asarray(gmm.predict_proba(X))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.argsort(np.argsort(gmm.means_[:, 0]))[truth]
    unsure = confidence < 0.9
    print(f"{unsure.mean():.0%} of rows are unsure; right in {right[unsure].mean():.0%} of these,", end=" ")
    print(f"in {right[~unsure].mean():.0%} of the others")
    # Probabilities mean what they say: of rows with confidence c, a share c is right.
    assert abs(confidence.mean() - right.mean()) < 0.03


def anomalies(wrap: Wrap) -> None:
    """Take the rows of lowest density as anomalies."""
    rng = np.random.default_rng(SEED)
    normal = blobs([[-4, -4], [4, 4]], sizes=[990, 990], scales=[0.7, 0.7])
    planted = np.stack([rng.uniform(-4, 4, 20), rng.permutation([-8.0, 8.0] * 10)], axis=1)
    X = wrap(np.concatenate([normal, planted]))

    gmm = GaussianMixture(2, random_state=0).fit(X)
    log_density = np.asarray(gmm.score_samples(X))
    threshold = np.percentile(log_density, 1.0)
    found = np.flatnonzero(log_density <= threshold)
    print(
        f"{len(found)} rows of log density below {threshold:.1f}; {np.sum(found >= 1_980)} of 20 were planted"
    )
    assert np.sum(found >= 1_980) >= 18


def sampling(wrap: Wrap) -> None:
    """Draw new rows from a fitted mixture: they have its shares, means and covariances."""
    X = wrap(blobs([[-5, 0], [5, 0]], sizes=[1_500, 500], scales=[1, 0.5]))
    gmm = GaussianMixture(2, random_state=0).fit(X)

    new_rows, component = gmm.sample(20_000)
    for k in range(2):
        mine = new_rows[component == k]
        print(f"component {k}: {len(mine) / 20_000:.0%} of the new rows, mean {mine.mean(axis=0).round(1)}")
        np.testing.assert_allclose(len(mine) / 20_000, gmm.weights_[k], atol=0.02)
        np.testing.assert_allclose(mine.mean(axis=0), gmm.means_[k], atol=0.1)
        np.testing.assert_allclose(np.cov(mine.T), gmm.covariances_[k], atol=0.1)


def generated_digits(wrap: Wrap) -> None:
    """Draw handwritten digits that nobody wrote: fit in the space of the principal components."""
    digits, _ = load_digits(return_X_y=True)
    pca = PCA(0.99, whiten=True, random_state=0)
    reduced = pca.fit_transform(digits)
    gmm = GaussianMixture(60, covariance_type="diag", reg_covar=1e-3, random_state=0).fit(wrap(reduced))

    drawn, _ = gmm.sample(100)
    images = pca.inverse_transform(drawn).reshape(-1, 8, 8)
    print(f"{digits.shape[1]} pixels as {reduced.shape[1]} principal components; a digit that nobody wrote:")
    for line in np.clip(images[0] / 16 * 4, 0, 4).round().astype(int):
        print("   " + "".join(" .+#@"[value] * 2 for value in line))
    assert gmm.converged_
    nearest = np.linalg.norm(images.reshape(100, 1, 64) - digits, axis=2).min(axis=1)
    between_digits = np.linalg.norm(digits[:100, None] - digits[100:], axis=2).min(axis=1)
    assert np.median(nearest) < 2 * np.median(between_digits)  # about as like a digit as digits are


LESSONS = (
    two_clusters,
    four_covariance_types,
    number_of_components,
    soft_assignments,
    anomalies,
    sampling,
    generated_digits,
)


def main() -> None:
    """Run every lesson on NumPy arrays, and again on Dask arrays."""
    containers: dict[str, Wrap] = {
        "NumPy": lambda rows: rows,
        "Dask": lambda rows: da.asarray(rows).rechunk((500, -1)),
    }
    for container, wrap in containers.items():
        for lesson in LESSONS:
            print(f"\n{container}: {lesson.__name__.replace('_', ' ')}")
            lesson(wrap)


if __name__ == "__main__":
    main()
