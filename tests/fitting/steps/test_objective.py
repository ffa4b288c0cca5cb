"""What a fit climbs, and how a goal becomes it: against what all rows, or scikit-learn, say."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture

from dgmm import kernels
from dgmm.fitting.steps.objective import Belief, EMStep, Evidence, EvidenceAfter, Likelihood
from dgmm.kernels.stacking import stack_models
from dgmm.model import em, variational
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def belief(covariance_type="full", **own) -> Belief:
    plain = Belief(FAMILIES[covariance_type], "dirichlet_process", 0.1, 1.0, None, 2.0, None, 1e-6)
    return replace(plain, **own)


def rows_of(n_rows=500):
    generator = np.random.default_rng(0)
    return naive.random_rows(generator, naive.random_parameters(generator, "full", 3, 2), n_rows)


def e_step(model: Parameters, rows, moments: Moments) -> Statistics:
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    (found,) = kernels.expect(ready, [(rows, None)])
    return found.completed(moments.scatter, model.precisions_cholesky)


def step_of(objective, model: Parameters, rows, moments: Moments) -> EMStep:
    statistics = e_step(model, rows, moments)
    return EMStep(model, objective.update(statistics, moments), statistics, moments)


def start(covariance_type):
    return naive.random_parameters(np.random.default_rng(1), covariance_type, 3, 2)


class TestTolerance:
    @pytest.mark.parametrize(("algorithm", "expected"), [("em", 1e-3), ("corrected", 1e-6)])
    def test_of_likelihood_is_that_of_a_row(self, algorithm, expected):
        assert Likelihood(0.0).tolerance(None, algorithm, 1e9) == expected
        assert Likelihood(0.0).tolerance(0.5, algorithm, 1e9) == 0.5

    @pytest.mark.parametrize(("weight", "rows"), [(100.0, 100.0), (250_000.0, 250_000.0), (1e9, 250_000.0)])
    def test_of_plain_steps_of_evidence_is_that_of_all_rows(self, weight, rows):
        """As scikit-learn's, which compares bounds of all rows; by default of no more than so many."""
        assert belief().tolerance(None, "em", weight) == pytest.approx(1e-3 / rows)
        assert belief().tolerance(0.5, "em", weight) == pytest.approx(0.5 / weight)

    def test_of_corrected_steps_of_evidence_is_that_of_a_row(self):
        assert belief().tolerance(None, "corrected", 1e9) == 1e-6
        assert belief().tolerance(0.5, "corrected", 1e9) == 0.5


class TestLikelihood:
    @each_family
    def test_a_step_is_that_of_the_formulas(self, covariance_type):
        rows, model, objective = rows_of(), start(covariance_type), Likelihood(0.01)
        moments = Moments.of(rows)
        assert objective.objective(moments, "em") is objective
        step = step_of(objective, model, rows, moments)
        joint = naive.log_joint(model, rows)
        log_densities, shares = naive.split(joint)
        weights, means, matrices = naive.maximized(covariance_type, rows, shares, reg_covar=0.01)
        np.testing.assert_allclose(step.updated.weights, weights, rtol=1e-9)
        np.testing.assert_allclose(step.updated.means, means, rtol=1e-9)
        np.testing.assert_allclose(naive.matrices_of(step.updated), matrices, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(objective.means_of_rows(step.statistics), means, rtol=1e-9)
        assert objective.lower_bound(step) == pytest.approx(log_densities.mean(), rel=1e-10)
        assert objective.promised_gain(step) is None

    @each_family
    def test_components_that_have_a_part_of_the_rows(self, covariance_type):
        model = start(covariance_type)
        counts = np.array([10.0, 20.0, 30.0])
        begun = Likelihood(0.0).begin(model.family, counts, model.means, model.covariances, 100.0)
        np.testing.assert_allclose(begun.weights, [0.1, 0.2, 0.3])
        np.testing.assert_allclose(begun.precisions_cholesky, model.precisions_cholesky)
        assert Likelihood(0.0).adopt(model, 100.0) is model

    def test_no_step_where_the_sums_leave_no_covariance(self):
        rows, model = rows_of(), start("full")
        moments = Moments.of(rows)
        statistics = e_step(model, rows, moments)
        expected = em.update(statistics, 0.0)
        found = Likelihood(0.0).update_unless_cancelled(statistics, moments, 1e12)
        assert found is not None
        np.testing.assert_array_equal(found.covariances, expected.covariances)
        assert Likelihood(0.0).update_unless_cancelled(statistics, moments, 1e-12) is None  # squares as such
        flat = replace(statistics, scatter=np.zeros_like(statistics.scatter))
        with pytest.raises(DegenerateCovarianceError):
            Likelihood(0.0).update(flat, moments)
        assert Likelihood(0.0).update_unless_cancelled(flat, moments, np.inf) is None


class TestBelief:
    @each_family
    def test_what_is_not_given_is_that_of_all_rows(self, covariance_type):
        rows = rows_of()
        prior = belief(covariance_type).prior(Moments.of(rows))
        np.testing.assert_allclose(prior.mean, rows.mean(axis=0), rtol=1e-12)
        covariance = np.cov(rows.T)
        if covariance_type in naive.SCIKIT_LEARNS:
            other = BayesianGaussianMixture(covariance_type=covariance_type)
            other._check_parameters(rows)
            np.testing.assert_allclose(prior.covariance, other.covariance_prior_, rtol=1e-10)
        expected = {"diagonal": np.diag(covariance), "sphere": np.diag(covariance).mean()}
        form = naive.STRUCTURES[covariance_type][1]
        np.testing.assert_allclose(prior.covariance, expected.get(form, covariance), rtol=1e-10)

    def test_what_is_given_stays(self):
        mean, covariance = np.array([1.0, 2.0]), np.diag([3.0, 4.0])
        prior = belief(mean=mean, covariance=covariance).prior(Moments.of(np.zeros((1, 2))))
        np.testing.assert_array_equal(prior.mean, mean)
        np.testing.assert_array_equal(prior.covariance, covariance)
        assert (prior.concentration, prior.mean_precision, prior.degrees_of_freedom) == (0.1, 1.0, 2.0)

    def test_less_than_two_rows_have_no_covariance(self):
        moments = Moments.of(rows_of(), np.full(500, 1.9 / 500))
        with pytest.raises(ValueError, match=r"sample_weight sums to 1.9, .*covariance_prior"):
            belief().prior(moments)

    def test_where_rows_have_no_width_reg_covar_is_the_width(self):
        rows = rows_of()
        rows[:, 1] = 3.0
        prior = belief(reg_covar=0.25).prior(Moments.of(rows))
        np.testing.assert_allclose(prior.covariance, np.cov(rows.T) + 0.25 * np.eye(2), rtol=1e-12)

    def test_plain_steps_take_the_bound_after_the_step(self):
        moments = Moments.of(rows_of())
        assert type(belief().objective(moments, "em")) is EvidenceAfter
        assert type(belief().objective(moments, "corrected")) is Evidence
        assert belief().objective(moments, "em").weight == 500.0


class TestEvidence:
    @each_family
    def test_a_sample_counts_as_all_rows(self, covariance_type):
        """Of rows that are each there ten times, a tenth says all."""
        rows, goal = rows_of(), belief(covariance_type)
        many = np.repeat(rows, 10, axis=0)
        moments, all_moments = Moments.of(rows), Moments.of(many)
        objective = goal.objective(all_moments, "corrected")
        model = objective.adopt(start(covariance_type), 500.0)
        again = objective.adopt(start(covariance_type), 5000.0)
        for name in ("weight_concentration", "mean_precision", "degrees_of_freedom"):
            np.testing.assert_allclose(getattr(model, name), getattr(again, name), rtol=1e-12)
        few = step_of(objective, model, rows, moments)
        all_of_them = step_of(objective, model, many, all_moments)
        for name in ("weights", "means", "covariances", "mean_precision", "degrees_of_freedom"):
            ours, theirs = getattr(few.updated, name), getattr(all_of_them.updated, name)
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10, err_msg=name)

    @each_family
    def test_bounds_before_and_after_a_step_interleave(self, covariance_type):
        rows, goal = rows_of(), belief(covariance_type)
        moments = Moments.of(rows)
        before, after = (goal.objective(moments, algorithm) for algorithm in ("corrected", "em"))
        model, bounds = before.adopt(start(covariance_type), 500.0), []
        for _ in range(5):
            step = step_of(before, model, rows, moments)
            gain = before.promised_gain(step)
            assert gain >= -1e-12
            assert after.promised_gain(step) == 0.0
            assert after.lower_bound(step) == pytest.approx(before.lower_bound(step) + gain, rel=1e-12)
            bounds += [before.lower_bound(step), after.lower_bound(step)]
            model = step.updated
        assert (np.diff(bounds) > -1e-10).all()

    def test_the_bound_is_that_of_variational_bayes(self):
        rows, goal = rows_of(), belief()
        moments = Moments.of(rows)
        objective = goal.objective(moments, "corrected")
        model = objective.adopt(start("full"), 500.0)
        step = step_of(objective, model, rows, moments)
        expected = variational.bound(objective.prior, model, step.log_likelihood, 500.0) / 500.0
        assert objective.lower_bound(step) == expected

    @each_family
    def test_means_of_rows_are_without_the_prior(self, covariance_type):
        rows, far = rows_of(), np.full(2, 1e3)
        moments = Moments.of(rows)
        objective = belief(covariance_type, mean=far, mean_precision=100.0).objective(moments, "em")
        model = objective.adopt(start(covariance_type), 500.0)
        step = step_of(objective, model, rows, moments)
        found = objective.means_of_rows(step.statistics)
        offsets = step.statistics.sums / step.statistics.counts[:, None]
        np.testing.assert_allclose(found, step.statistics.references + offsets, rtol=1e-9)
        assert np.abs(step.updated.means - found).max() > 10.0
