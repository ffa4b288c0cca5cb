"""Models made ready: their natural parameters, in which order, and which components take the centred path."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm.kernels import stacking
from dgmm.kernels.precision import DOUBLE
from dgmm.kernels.stacking import blank_stack, stack_models
from dgmm.model.families import FAMILIES
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
CENTRE = np.array([0.5, -1.0])


def feature_table(rows):
    """One feature a row of the table, (n_table, n_rows): the squared norm, 1, z, z², and products."""
    z = (rows - CENTRE).T
    return np.array([(z**2).sum(axis=0), np.ones(len(rows)), *z, *z**2, z[0] * z[1]])


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    families=st.lists(st.sampled_from(naive.COVARIANCE_TYPES), min_size=12, max_size=12),
    most=st.integers(1, 70),
)
@settings(max_examples=40, deadline=None)
def test_groups_hold_every_model_once(sizes, families, most):
    """Models of one family each, in runs of as many components; together no more than may be, but one."""
    generator = np.random.default_rng(13)
    models = [
        naive.random_parameters(generator, family, size, 2)
        for size, family in zip(sizes, families, strict=False)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "STACKING", replace(stacking.STACKING, group_components=most))
        ready = stack_models(models, np.zeros(2), np.ones(2), np.float64)
    assert sorted(model for group in ready.groups for model in group.models) == list(range(len(models)))
    end = 0
    for group in ready.groups:
        n_components = group.rows.stop - group.rows.start
        assert group.rows.start == end
        end = group.rows.stop
        assert len(group.natural_parameters) == n_components
        assert n_components <= most or len(group.models) == 1
        assert {models[model].family.name for model in group.models} == {group.family.name}
        for run in group.runs:
            own = [ready.rows[model] for model in run.models]
            assert len({rows.stop - rows.start for rows in own}) == 1
            assert run.rows == slice(own[0].start - group.rows.start, own[-1].stop - group.rows.start)
    assert end == sum(sizes)


def test_natural_parameters_are_the_log_joint_densities():
    """Of models of all families in any order: θ · φ(z), but for what all components of a tied one share."""
    generator = np.random.default_rng(0)
    names = ("tied", "full", "spherical", "tied_spherical", "diag", "full", "tied", "tied_diag", "spherical")
    models = [naive.random_parameters(generator, name, k % 3 + 1, 2) for k, name in enumerate(names)]
    rows = generator.normal(scale=3.0, size=(20, 2))
    ready = stack_models(models, CENTRE, np.full(2, 10.0), np.float64)
    table = feature_table(rows)[: ready.n_table]
    values = np.full((ready.n_components, len(rows)), np.nan)
    for group in ready.groups:
        assert np.isnan(values[group.rows]).all()  # no row is of two
        values[group.rows] = group.natural_parameters @ table[group.features]
    for index, model in enumerate(models):
        expected = naive.log_joint(model, rows).T
        assert ready.is_complete(index) == (not model.family.is_shared)
        if model.family.is_shared:
            precision = np.linalg.inv(naive.matrices_of(model)[0])
            expected += 0.5 * np.einsum("ni,ij,nj->n", rows - CENTRE, precision, rows - CENTRE)
        np.testing.assert_allclose(values[ready.rows[index]], expected, rtol=1e-10, atol=1e-10)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(table[ready.deviations], (rows - CENTRE).T)


@each_family
def test_the_centred_path_begins_where_the_error_of_a_log_density_is_too_large(covariance_type):
    """It is about the machine epsilon times |z|ᵀ |Λ| |z| at the row that may be farthest."""
    generator = np.random.default_rng(2)
    model, extent = naive.random_parameters(generator, covariance_type, 4, 2), np.array([3.0, 1.0])
    precisions = np.abs(np.linalg.inv(naive.matrices_of(model)))
    if naive.STRUCTURES[covariance_type][1] == "sphere":
        precisions = precisions[:, :1, :1] * np.eye(2)
    bounds = np.finfo(float).eps * np.einsum("i,kij,j->k", extent, precisions, extent)
    for share in (0.99, 1.01):
        # The third to pass, or all of them where they share a covariance.
        larger = np.sqrt(share * DOUBLE.density_error / np.sort(bounds)[1])
        ready = stack_models([model], CENTRE, larger * extent, np.float64)
        expected = np.flatnonzero(share * bounds / np.sort(bounds)[1] > 1.0)
        assert [entry.component for entry in ready.centred] == expected.tolist()
        assert ready.is_exact == (len(expected) == 4)
        for entry in ready.centred:
            np.testing.assert_array_equal(entry.mean, model.means[entry.component])
            np.testing.assert_array_equal(entry.reference, model.means[entry.component])
            assert entry.log_constant == model.log_constants[entry.component]
            assert not ready.groups[0].natural_parameters[entry.row].any()
        if model.family.is_shared:
            assert ready.is_complete(0) == bool(ready.centred)


@each_family
def test_components_with_a_reference_are_centred_about_it(covariance_type):
    generator = np.random.default_rng(3)
    models = [naive.random_parameters(generator, covariance_type, n, 2) for n in (3, 2)]
    points = [model.means + 0.25 for model in models]
    points[1][:] = np.nan
    if not models[0].family.is_shared:
        points[0][1, 1] = np.nan
    ready = stack_models(models, CENTRE, np.ones(2), np.float32, references=points)
    assert ready.dtype == np.float64  # references ask for exact sums
    known = np.flatnonzero(np.isfinite(points[0]).all(axis=1)).tolist()
    assert [(entry.model, entry.component) for entry in ready.centred] == [(0, k) for k in known]
    for entry in ready.centred:
        assert entry.row == ready.rows[0].start + entry.component
        np.testing.assert_array_equal(entry.reference, points[0][entry.component])
        np.testing.assert_array_equal(entry.mean, models[0].means[entry.component])
    (group,) = {id(each): each for each in ready.groups if 0 in each.models}.values()
    assert ready.centred_in(group) == list(range(len(known)))


@each_family
def test_a_component_of_no_weight_stays_finite(covariance_type):
    model = naive.random_parameters(np.random.default_rng(4), covariance_type, 3, 2)
    model = replace(model, weights=np.array([0.5, 0.0, 0.5]))
    ready = stack_models([model], CENTRE, np.ones(2), np.float64)
    table = feature_table(np.zeros((1, 2)))[ready.groups[0].features]
    values = ready.groups[0].natural_parameters @ table
    assert np.isfinite(values).all()
    assert values[1] < -1e29
    assert values[[0, 2]].min() > -1e6


@each_family
def test_rows_that_do_not_matter_need_not_be_exact(covariance_type):
    """Where reaches say which rows matter, float32 serves for starts that it would be too rough for."""
    model = naive.random_parameters(np.random.default_rng(6), covariance_type, 3, 2)
    far = np.full(2, 1e3)
    assert stack_models([model], np.zeros(2), far, np.float32).dtype == np.float64
    near = [np.full((3, 2), 1.0)]
    assert stack_models([model], np.zeros(2), far, np.float32, reaches=near).dtype == np.float32
    assert (
        stack_models([model], np.zeros(2), far, np.float32, reaches=[far + 0 * model.means]).dtype
        == np.float64
    )


@each_family
@pytest.mark.parametrize("referenced", [False, True])
def test_a_stack_without_a_model(covariance_type, referenced):
    points = np.arange(6.0).reshape(3, 2) if referenced else None
    ready = blank_stack(FAMILIES[covariance_type], 3, CENTRE, points)
    (group,) = ready.groups
    assert ready.rows == (slice(0, 3),)
    assert group.natural_parameters.shape == (3, len(feature_table(np.zeros((1, 2)))[group.features]))
    assert not group.natural_parameters.any()
    assert [entry.component for entry in ready.centred] == ([0, 1, 2] if referenced else [])
    if referenced:
        np.testing.assert_array_equal([entry.reference for entry in ready.centred], points)


def test_a_mixture_of_no_components_is_refused():
    nothing = naive.random_parameters(np.random.default_rng(0), "full", 2, 2).chosen([])
    with pytest.raises(ValueError, match="no components"):
        stack_models([nothing], np.zeros(2), np.ones(2), np.float64)
