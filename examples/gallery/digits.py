"""
Digits that nobody wrote: a mixture after principal components
==============================================================

Images have too many features for a mixture of full covariances. In the space of their principal components
one can be fitted, and what it draws is turned into images again.
"""

# %%
# The 1,797 digits that come with scikit-learn have 64 pixels; 99% of their variance lies in fewer
# directions.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from dgmm import PCA, GaussianMixture

digits = np.asarray(load_digits(return_X_y=True)[0])
pca = PCA(0.99, whiten=True)
mixture = GaussianMixture(10, random_state=0)
pipeline = make_pipeline(pca, mixture).fit(digits)
print(f"{pca.n_components_} of {pca.n_features_in_} directions, {mixture.n_components} components")

# %%
# Draws, turned back into pixels. ``sample`` gives rows component by component: they are shuffled for the
# picture.

rng = np.random.default_rng(0)
drawn, _ = mixture.sample(60)
made_up = np.clip(pca.inverse_transform(rng.permutation(drawn)), 0, 16)
shown = {"handwritten": digits[rng.choice(len(digits), 60, replace=False)], "drawn from the mixture": made_up}

figure, axes = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
for ax, (title, images) in zip(axes, shown.items(), strict=True):
    tiles = np.pad(images.reshape(-1, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    ax.imshow(tiles.swapaxes(1, 2).reshape(-1, 100), cmap="gray_r")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %%
# They are new: each differs from all digits that were fitted, by about as much as digits differ from each
# other.

nearest = np.array([np.linalg.norm(digits - image, axis=1).min() for image in made_up])
among = np.array([np.sort(np.linalg.norm(digits - image, axis=1))[1] for image in shown["handwritten"]])
to_draws, to_others = np.median(nearest), np.median(among)
print(f"to the nearest digit: {to_draws:.0f} grey levels from draws, {to_others:.0f} from other digits")

# %%
# The pipeline scores images, too. Turned on their side digits are unlikely:

turned = np.rot90(digits.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
for name, images in (("as written", digits), ("turned", turned)):
    print(f"{name:>10}: {np.median(pipeline.score_samples(images)):8.1f} nats")
