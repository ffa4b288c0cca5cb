# ruff: noqa: F722
# pyright: reportInvalidTypeForm=false, reportIndexIssue=false
"""Shapes and types of what the layer hands out, checked against annotations with the sizes bound together."""

from dataclasses import dataclass

import numpy as np
import pytest
from beartype import beartype
from jaxtyping import Float32, Float64, Int64, TypeCheckError, jaxtyped

from dgmm import kernels
from dgmm.kernels import densities
from dgmm.kernels.stacking import stack_models
from dgmm.model import generate
from dgmm.model.em import update
from dgmm.model.statistics import Moments
from tests.model import naive

COVARIANCE_SHAPES = {
    "full": "K D D",
    "tied": "D D",
    "diag": "K D",
    "spherical": "K",
    "tied_diag": "D",
    "tied_spherical": "",
}
SCATTER_SIZES = {
    "full": "D*(D+1)//2",
    "tied": "0",
    "diag": "D",
    "spherical": "1",
    "tied_diag": "0",
    "tied_spherical": "0",
}
CENTRED_SIZES = SCATTER_SIZES | {"tied": "D*(D+1)//2", "tied_diag": "D", "tied_spherical": "1"}
N_FEATURES = {
    "full": lambda d: 1 + d + d * (d + 1) // 2,
    "tied": lambda d: 1 + d,
    "diag": lambda d: 1 + 2 * d,
    "spherical": lambda d: 2 + d,
    "tied_diag": lambda d: 1 + d,
    "tied_spherical": lambda d: 1 + d,
}

sized = jaxtyped(typechecker=beartype)


def of_family(covariance_type):
    """The views of a family: dataclasses whose fields are checked as they are made."""
    shape = COVARIANCE_SHAPES[covariance_type]
    form = Float64[np.ndarray, shape] if shape else np.float64

    @sized
    @dataclass
    class ParametersView:
        weights: Float64[np.ndarray, " K"]
        means: Float64[np.ndarray, "K D"]
        covariances: form
        precisions_cholesky: form
        precisions: form
        covariance_matrices: Float64[np.ndarray, "K D D"]
        log_constants: Float64[np.ndarray, " K"]

    @sized
    @dataclass
    class StatisticsView:
        counts: Float64[np.ndarray, " K"]
        sums: Float64[np.ndarray, "K D"]
        scatter: Float64[np.ndarray, f"K {SCATTER_SIZES[covariance_type]}"]
        references: Float64[np.ndarray, "K D"]
        log_likelihood: float

    @sized
    @dataclass
    class CentredStatisticsView:
        counts: Float64[np.ndarray, " K"]
        sums: Float64[np.ndarray, "K D"]
        scatter: Float64[np.ndarray, f"K {CENTRED_SIZES[covariance_type]}"]
        references: Float64[np.ndarray, "K D"]
        log_likelihood: float

    return ParametersView, StatisticsView, CentredStatisticsView


def seen(view, values):
    """Make a view of the attributes that it names."""
    return view(**{name: getattr(values, name) for name in view.__dataclass_fields__})


@sized
@dataclass
class MomentsView:
    n_rows: int
    weight: float
    mean: Float64[np.ndarray, " D"]
    scatter: Float64[np.ndarray, "D D"]
    minimum: Float64[np.ndarray, " D"]
    maximum: Float64[np.ndarray, " D"]
    extent: Float64[np.ndarray, " D"]


@sized
@dataclass
class ThetaView:
    natural_parameters: Float64[np.ndarray, "K P"]
    means: Float64[np.ndarray, "K D"]


@sized
@dataclass
class SingleThetaView:
    natural_parameters: Float32[np.ndarray, "K P"]
    means: Float64[np.ndarray, "K D"]


@sized
@dataclass
class PredictionsView:
    rows: Float64[np.ndarray, "N D"]
    means: Float64[np.ndarray, "K D"]
    log_densities: Float64[np.ndarray, " N"]
    responsibilities: Float64[np.ndarray, "N K"]
    labels: Int64[np.ndarray, " N"]


@sized
@dataclass
class SampleView:
    rows: Float64[np.ndarray, "N D"]
    labels: Int64[np.ndarray, " N"]
    means: Float64[np.ndarray, "K D"]


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types(covariance_type, n_components, n_features, dtype):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, 50).astype(dtype)
    parameters_view, statistics_view, centred_view = of_family(covariance_type)
    seen(parameters_view, parameters)

    moments = Moments.of(rows)
    seen(MomentsView, moments)
    seen(MomentsView, moments + Moments.of(rows[:0]))
    for all_centred, view in ((False, statistics_view), (True, centred_view)):
        ready = stack_models(
            [parameters],
            moments.mean,
            moments.extent,
            dtype,
            references=[parameters.means] if all_centred else None,
        )
        (statistics,) = kernels.expect(ready, [(rows, None)])
        seen(view, statistics)
        seen(view, statistics + statistics)
        statistics = statistics.of_all_rows(moments.scatter)
        seen(parameters_view, update(statistics, 1e-6))
        (group,) = ready.groups
        theta, single = group.natural_parameters, dtype == np.float32 and not all_centred
        (SingleThetaView if single else ThetaView)(theta, parameters.means)
        assert theta.shape == (n_components, N_FEATURES[covariance_type](n_features))

    PredictionsView(
        rows.astype(np.float64),
        parameters.means,
        densities.log_densities(parameters, rows),
        densities.responsibilities(parameters, rows),
        densities.labels(parameters, rows),
    )
    SampleView(*generate.sample_shuffled(parameters, 9, generator), parameters.means)


def test_the_views_refuse_wrong_shapes():
    """The checks check: a scatter of the wrong family, or a mean of other features, is refused."""
    _, diagonal, _ = of_family("diag")
    good = {"counts": np.zeros(3), "sums": np.zeros((3, 4)), "references": np.zeros((3, 4))}
    diagonal(**good, scatter=np.zeros((3, 4)), log_likelihood=0.0)
    with pytest.raises(TypeCheckError):
        diagonal(**good, scatter=np.zeros((3, 10)), log_likelihood=0.0)
    with pytest.raises(TypeCheckError):
        diagonal(**good, scatter=np.zeros((3, 4), np.float32), log_likelihood=0.0)
    with pytest.raises(TypeCheckError):
        diagonal(**good | {"sums": np.zeros((3, 5))}, scatter=np.zeros((3, 4)), log_likelihood=0.0)
