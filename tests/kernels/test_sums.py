"""Sums of a stack, written out, become the statistics of its models in their order."""

import numpy as np
import pytest

from dgmm.kernels.stacking import stack_models
from dgmm.kernels.sums import statistics_of
from tests.model import naive


def features(name, z):
    """Features (n_rows, P) of deviations from the centre, as the table of `Family` has them."""
    above = [z[:, i] * z[:, j] for i in range(z.shape[1]) for j in range(i + 1, z.shape[1])]
    one = np.ones(len(z))
    return np.column_stack(
        {
            "spherical": [(z**2).sum(axis=1), one, z],
            "tied": [one, z],
            "diag": [one, z, z**2],
            "full": [one, z, z**2, *above],
        }[name]
    )


@pytest.mark.parametrize("narrow", [False, True])
def test_sums_of_features_and_of_deviations(narrow):
    """Every model has its own, about the centre or, where components are centred, about their references."""
    generator = np.random.default_rng(0)
    names = ["diag", "full", "tied", "spherical", "diag"]
    models = [naive.random_parameters(generator, name, k + 2, 3) for k, name in enumerate(names)]
    rows, centre = generator.normal(size=(40, 3)), generator.normal(size=3)
    references = [np.full(model.means.shape, np.nan) for model in models]
    if narrow:
        references[1][1], references[2][:] = 0.5, models[2].means
    ready = stack_models(models, centre, np.full(3, 4.0), np.float64, references=references)
    shares = [generator.dirichlet(np.ones(len(model.means)), size=40) for model in models]
    likelihoods = np.array([-3.0, 5.0, 7.0, 11.0, 13.0])
    sums = [
        np.concatenate(
            [shares[model].T @ features(group.family.name, rows - centre) for model in group.models]
        )
        for group in ready.groups
    ]
    centred = []
    for entry in ready.centred:
        share, gaps = shares[entry.model][:, entry.component, None], rows - entry.reference
        packed = naive.family_scatter(entry.family.name, ((share * gaps).T @ gaps)[None])[0]
        centred.append(((share * gaps).sum(axis=0), packed))
    found = statistics_of(ready, sums, centred, likelihoods)
    assert [each.log_likelihood for each in found] == likelihoods.tolist()
    for index, (model, statistics) in enumerate(zip(models, found, strict=True)):
        points = np.where(np.isnan(references[index]), centre, references[index])
        np.testing.assert_array_equal(statistics.references, points)
        np.testing.assert_allclose(statistics.counts, shares[index].sum(axis=0))
        has_scatter = names[index] != "tied" or narrow
        for k, point in enumerate(points):
            gaps, share = rows - point, shares[index][:, k, None]
            np.testing.assert_allclose(statistics.sums[k], (share * gaps).sum(axis=0), atol=1e-12)
            scatter = naive.family_scatter(names[index], ((share * gaps).T @ gaps)[None])[0]
            np.testing.assert_allclose(statistics.scatter[k], scatter if has_scatter else [], atol=1e-12)
        assert len(statistics.counts) == len(model.means)
