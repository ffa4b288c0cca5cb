"""Marginal mixtures of many patterns at once, against each by itself."""

import numpy as np
import pytest

from dgmm.kernels import chosen_kernel
from dgmm.kernels.marginals import Marginals
from dgmm.kernels.stacking import stack_models
from dgmm.model.conditional import conditional
from dgmm.model.families import FAMILIES
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", FAMILIES)


def case(covariance_type, *, wider=1.0, n_components=3, n_features=4):
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, covariance_type, n_components, n_features)
    known = np.unique(generator.random((12, n_features)) < 0.6, axis=0)
    assert len(known) > 5
    centre, extent = np.full(n_features, 0.5), np.full(n_features, 20.0 * wider)
    stack = stack_models([model], centre, extent, np.float64, may_lack=True)
    return generator, model, known, stack


@each_family
@pytest.mark.parametrize("wider", [1.0, 1e9], ids=["features", "centred"])
def test_log_densities_are_those_of_what_is_known(covariance_type, wider):
    generator, model, known, stack = case(covariance_type, wider=wider)
    marginals = Marginals.of(stack, [model], known)
    row = generator.normal(size=4)
    for number, is_known in enumerate(known):
        given = conditional(model, is_known)
        wanted = np.log(model.weights)
        if is_known.any():
            wanted = naive.log_joint(given.of_known, row[None, is_known])[0]
        z = np.where(is_known, row - stack.centre, 0.0)
        if wider > 1.0:
            found = []
            for index, entry in enumerate(stack.centred):
                y = marginals.factors[number, index] @ np.where(is_known, row - entry.mean, 9.9)
                found.append(marginals.log_constants[number, index] - 0.5 * y @ y)
        else:
            features = [z @ z, 1.0, *z, *z**2, *(z[i] * z[j] for i in range(4) for j in range(i + 1, 4))]
            theta = marginals.natural_parameters[0][number]
            found = theta @ np.array(features)[model.family.feature_rows(4)]
            if model.family.is_shared:
                factor = marginals.lifts[0].factors[number, 0]
                y = z * factor if factor.ndim == 1 else z @ factor
                found -= 0.5 * y @ y
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@each_family
@pytest.mark.parametrize("n_features", [4, 20])
@pytest.mark.usefixtures("each_kernel")
def test_patterns_are_joined_from_whatever_they_were_made_with(covariance_type, n_features):
    """To the last bit: which patterns tasks of a process have made before depends on which came first."""
    _, model, known, stack = case(covariance_type, n_components=20, n_features=n_features)
    by = chosen_kernel().regress
    whole = Marginals.of(stack, [model], known, by)
    one, others = (Marginals.of(stack, [model], some, by) for some in (known[1:2], known[3:]))
    pieces = [(one, 0), (others, 0), (others, 2)]
    found, which = Marginals.joined(pieces), [1, 3, 5]
    for mine, wanted in ((found, whole), (found.lifts[0], whole.lifts[0])):
        for name, values in vars(mine).items():
            if isinstance(values, np.ndarray):
                np.testing.assert_array_equal(values, getattr(wanted, name)[which])
    np.testing.assert_array_equal(found.natural_parameters[0], whole.natural_parameters[0][which])
    assert Marginals.joined([(whole, number) for number in range(len(known))]) is whole
