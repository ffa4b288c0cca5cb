"""Draw new handwritten digits: a mixture in the space of principal components, fitted out of core.

The 1,797 digits that come with scikit-learn lie in a Zarr store, and a pipeline of `PCA` and
`GaussianMixture` is fitted to its path: projections are computed chunk by chunk in every pass, and stored
nowhere.

    python examples/digits.py [PICTURE.png]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from dgmm import PCA, GaussianMixture

N_COMPONENTS = 10
N_SHOWN = 60


def draw(groups: dict[str, np.ndarray], path: Path) -> None:
    """Draw digits of each group in rows of ten."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for ax, (title, images) in zip(figure.subplots(1, len(groups)), groups.items(), strict=True):
        tiles = images.reshape(-1, 10, 8, 8)
        ax.imshow(
            np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1))).swapaxes(1, 2).reshape(-1, 100), cmap="gray_r"
        )
        ax.set(title=title, xticks=[], yticks=[])
    figure.savefig(path, dpi=100)


def main() -> None:
    """Store the digits, fit the pipeline to the path, and draw what it makes up."""
    digits = np.asarray(load_digits(return_X_y=True)[0])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "digits.zarr"))
        zarr.create_array(path, data=digits, chunks=(200, 64))

        pca = PCA(0.99, whiten=True)
        mixture = GaussianMixture(
            N_COMPONENTS, init_params="kmeans", tol=1e-3, sample_rows=1500, random_state=0
        )
        pipeline = make_pipeline(pca, mixture).fit(path)
        print(f"{pca.n_components_} of {pca.n_features_in_} directions have 99% of the variance")
        print(f"{mixture.n_passes_} passes over what PCA makes of the chunks")

        drawn, _ = mixture.sample(N_SHOWN)
        made_up = np.clip(pca.inverse_transform(np.random.default_rng(0).permutation(drawn)), 0, 16)
        nearest = np.min([np.linalg.norm(digits - image, axis=1).min() for image in made_up])
        print(f"the nearest of the digits is {nearest:.0f} grey levels from one that was drawn: they are new")
        scores = np.asarray(pipeline.score_samples(path))
        print(f"log density of the digits: {scores.mean():.1f} nats, on average")
        assert 38 <= pca.n_components_ <= 42
        assert nearest > 1.0

        picture = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "digits.png")
        shown = digits[np.random.default_rng(1).choice(len(digits), N_SHOWN, replace=False)]
        draw({"handwritten": shown, "drawn from the mixture": made_up}, picture)
        print(f"drawn: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
