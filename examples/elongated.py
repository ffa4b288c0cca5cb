"""Elongated clusters: k-means cuts them, Gaussian components follow them.

python examples/elongated.py [PICTURE.png]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from dgmm import GaussianMixture
from dgmm.plotting import component_colors, plot_mixture

N_ROWS = 600
"""Rows of each cluster."""


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of three round clusters, stretch them all in one direction, and say which they are of."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), N_ROWS)
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [2.5, 5.0]])
    rows = centres[labels] + generator.standard_normal((len(labels), 2))
    return rows @ np.array([[0.6, -0.65], [-0.4, 0.85]]), labels


def main() -> None:
    """Cluster the rows both ways, compare with the truth, and draw it."""
    rows, truth = drawn()
    by_means = KMeans(3, random_state=0).fit(rows)
    mixture = GaussianMixture(3, random_state=0).fit(rows).sorted("mean")
    by_components = mixture.predict(rows)
    agreements = [adjusted_rand_score(truth, labels) for labels in (by_means.labels_, by_components)]
    for name, agreement in zip(("k-means", "Gaussian components"), agreements, strict=True):
        print(f"{name}: adjusted Rand index {agreement:.2f} with the clusters that were drawn")
    assert agreements[1] > 0.9 > agreements[0]
    print(f"the components overlap by {np.triu(mixture.overlap(), 1).max():.3f} at most")

    colors = component_colors(range(3))
    order = np.argsort(np.argsort(by_means.cluster_centers_[:, 0]))
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    left.scatter(*rows.T, s=6, c=colors[order[by_means.labels_]], alpha=0.3)
    left.scatter(*by_means.cluster_centers_.T, s=160, c="black", marker="+")
    left.set_title(f"k-means: adjusted Rand index {agreements[0]:.2f}")
    right.scatter(*rows.T, s=6, c=colors[by_components], alpha=0.15)
    plot_mixture(mixture, ax=right, colors=colors)
    right.set_title(f"Gaussian components: adjusted Rand index {agreements[1]:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "elongated.png")
        figure.savefig(path, dpi=100)
        print(f"drawn: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
