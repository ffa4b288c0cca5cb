"""Labels and groups of rows: closed forms, a naive EM with shared components, and what users get wrong."""
# pyright: reportArgumentType=false, reportCallIssue=false

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import dgmm
from dgmm import GaussianMixture, MixtureWarning
from dgmm.data import DataError, DataWarning
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

X, Y = load_iris(return_X_y=True)
X = X + 0.02 * np.random.default_rng(5).normal(size=X.shape)  # without the values that many rows repeat
GROUPS = np.random.default_rng(1).choice([3, 5, 11], size=len(X), p=[0.5, 0.3, 0.2])


def maximized(family, rows, shares, weights=None):
    """The M-step by its formulas."""
    found, means, matrices = naive.maximized(family, rows, shares, weights)
    covariances = naive.covariances_of(family, matrices)
    return Parameters.from_covariances(FAMILIES[family], found, means, covariances)


def naive_fit(start, n_steps, *, labels, groups, weights, priors=None):
    """EM with shared components and a weight vector in each group, written out."""
    rows, family, n_components = X, start.family.name, start.n_components
    names, places = np.unique(groups, return_inverse=True)
    log_groups = np.log(np.tile(start.weights, (len(names), 1)))
    model, bounds = start, []
    for _ in range(n_steps):
        joint = naive.log_joint(model, rows) - np.log(model.weights)[None] + log_groups[places]
        joint[(labels[:, None] >= 0) & (labels[:, None] != np.arange(n_components))] = -np.inf
        joint += 0.0 if priors is None else np.log(priors)
        densities = np.logaddexp.reduce(joint, axis=1)
        shares = np.exp(joint - densities[:, None])
        bounds.append(weights @ densities / weights.sum())
        model = maximized(family, rows, shares, weights)
        counts = np.stack([(weights[:, None] * shares)[places == g].sum(axis=0) for g in range(len(names))])
        log_groups = np.log(counts / counts.sum(axis=1, keepdims=True))
    return model, np.exp(log_groups), bounds


def given(family):
    """Start from the moments of the three species, disturbed."""
    start = maximized(family, X, np.eye(3)[Y] * 0.7 + 0.1)
    precisions = np.atleast_1d(start.precisions)
    return start, {
        "weights_init": start.weights,
        "means_init": start.means,
        "precisions_init": precisions,
        "covariance_type": family,
        "reg_covar": 0.0,
        "tol": 0.0,
        "algorithm": "em",
    }


@pytest.mark.parametrize("family", naive.COVARIANCE_TYPES)
def test_labels_of_all_rows_give_the_closed_form(family):
    """Means, covariances and shares of the classes, and the log-likelihood that they have."""
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    mixture = GaussianMixture(3, covariance_type=family, reg_covar=0.0, random_state=0)
    mixture.fit(X, sample_weight=weights, labels=Y)
    exact = maximized(family, X, np.eye(3)[Y], weights)
    np.testing.assert_allclose(mixture.weights_, exact.weights, rtol=1e-12)
    np.testing.assert_allclose(mixture.means_, exact.means, rtol=1e-12)
    scale = np.abs(exact.covariances).max()
    np.testing.assert_allclose(mixture.covariances_, exact.covariances, rtol=1e-12, atol=1e-12 * scale)
    bound = weights @ naive.log_joint(exact, X)[np.arange(len(X)), Y] / weights.sum()
    assert mixture.lower_bound_ == pytest.approx(bound, rel=1e-12)
    assert (mixture.converged_, mixture.n_iter_ <= 3) == (True, True)


@pytest.mark.filterwarnings("ignore:Best performing")
@pytest.mark.parametrize("family", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("stored", [False, True])
def test_groups_and_labels_against_a_naive_em(family, stored):
    """To 1e-10, in memory and by passes over chunks of a Dask array."""
    start, settings = given(family)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    labels = np.where(np.random.default_rng(3).random(len(X)) < 0.2, Y, -1)
    model, group_weights, bounds = naive_fit(start, 12, labels=labels, groups=GROUPS, weights=weights)
    rows, given_groups = X, GROUPS.tolist()
    if stored:
        rows, given_groups = da.from_array(X, chunks=(40, 4)), da.from_array(GROUPS, chunks=60)
    mixture = GaussianMixture(3, max_iter=12, sample_rows=20 if stored else "auto", **settings)
    mixture.fit(rows, sample_weight=weights, labels=labels, groups=given_groups)
    assert mixture.n_iter_ == 12
    np.testing.assert_array_equal(mixture.groups_, [3, 5, 11])
    np.testing.assert_allclose(mixture.group_weights_, group_weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixture.means_, model.means, rtol=1e-10)
    np.testing.assert_allclose(mixture.covariances_, model.covariances, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixture.lower_bounds_, bounds, rtol=1e-10)
    assert (np.diff(mixture.lower_bounds_) > 0.0).all()
    shares = [weights[each == GROUPS].sum() / weights.sum() for each in (3, 5, 11)]
    np.testing.assert_allclose(mixture.weights_, shares @ mixture.group_weights_, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Best performing")
def test_weights_of_components_for_each_row():
    start, settings = given("full")
    priors = np.random.default_rng(4).dirichlet(np.ones(3), len(X))
    known = {"labels": np.full(len(X), -1), "weights": np.ones(len(X)), "priors": priors}
    model, _, bounds = naive_fit(start, 8, groups=np.zeros(len(X)), **known)
    mixture = GaussianMixture(3, max_iter=8, **settings).fit(X, labels=priors)
    np.testing.assert_allclose(mixture.means_, model.means, rtol=1e-10)
    np.testing.assert_allclose(mixture.lower_bounds_, bounds, rtol=1e-10)
    same = GaussianMixture(3, max_iter=8, **settings).fit(X, labels=np.where(Y[:, None] == [0, 1, 2], 1, 0))
    hard = GaussianMixture(3, max_iter=8, **settings).fit(X, labels=Y)
    np.testing.assert_allclose(same.means_, hard.means_, rtol=1e-12)
    model, group_weights, _ = naive_fit(start, 8, groups=GROUPS, **known)
    both = GaussianMixture(3, max_iter=8, **settings).fit(X, labels=priors, groups=GROUPS)
    np.testing.assert_allclose(both.group_weights_, group_weights, rtol=1e-10)


@pytest.mark.parametrize("algorithm", ["em", "corrected"])
def test_few_passes_over_many_rows_lead_to_the_same_optimum(algorithm, small_spans, generator):
    """Corrected EM on a sample with groups and labels, as far as plain EM goes."""
    truth = naive.random_parameters(generator, "full", 3, 2, spread=4.0)
    group_weights = generator.dirichlet(np.ones(3), 7)
    groups = generator.integers(7, size=6000)
    rows = np.empty((6000, 2))
    components = np.array([generator.choice(3, p=group_weights[g]) for g in groups])
    for k in range(3):
        own = components == k
        rows[own] = generator.multivariate_normal(truth.means[k], truth.covariances[k], own.sum())
    labels = np.where(generator.random(6000) < 0.01, components, -1)
    stored = da.from_array(rows, chunks=(1000, 2))
    mixture = GaussianMixture(
        3, algorithm=algorithm, sample_rows=1500, random_state=0, tol=1e-7, max_iter=300
    )
    mixture.fit(stored, labels=labels, groups=groups)
    exact = GaussianMixture(3, algorithm="em", random_state=0, tol=1e-10, max_iter=2000)
    exact.fit(rows, labels=labels, groups=groups)
    assert mixture.score(rows, groups=groups) == pytest.approx(exact.score(rows, groups=groups), abs=1e-5)
    np.testing.assert_allclose(mixture.group_weights_, exact.group_weights_, atol=0.02)
    accepted = [
        bound
        for bound, is_accepted in zip(mixture.lower_bounds_, mixture.history_["accepted"], strict=True)
        if is_accepted
    ]
    assert (np.diff(accepted) >= 0.0).all()
    assert algorithm == "em" or mixture.n_passes_ <= 12


@pytest.mark.usefixtures("small_spans")
def test_components_that_the_sample_hardly_has(generator):
    """Steps on the sample leave them as the pass said, their weights in groups too."""
    rows = np.concatenate([generator.normal(size=(1500, 2)), generator.normal(9.0, 1.0, (1480, 2))])
    rows = np.concatenate([rows, generator.normal([0.0, 30.0], 1.0, (20, 2))])
    order = generator.permutation(3000)
    rows, groups = rows[order], (np.arange(3000) // 1500)[order]
    means = np.array([[0.0, 0.0], [9.0, 9.0], [0.0, 30.0]])
    own = {"means_init": means, "tol": 1e-8, "max_iter": 200, "random_state": 0}
    found = GaussianMixture(3, sample_rows=300, algorithm="corrected", **own)
    found.fit(da.from_array(rows, chunks=(500, 2)), groups=groups)
    exact = GaussianMixture(3, algorithm="em", **own).fit(rows, groups=groups)
    np.testing.assert_allclose(found.group_weights_, exact.group_weights_, atol=1e-5)
    np.testing.assert_allclose(found.means_, exact.means_, atol=1e-4)


@pytest.mark.parametrize("family", ["full", "tied", "diag", "tied_spherical"])
def test_rows_that_lack_values(family, generator):
    """Groups and labels beside them; where all rows have labels, each class is fitted for itself."""
    rows = X.copy()
    rows[generator.random(rows.shape) < 0.15] = np.nan
    rows[:, 0] = X[:, 0]
    settings = {"covariance_type": family, "missing": "marginalize", "random_state": 0, "tol": 1e-9}
    mixture = GaussianMixture(3, max_iter=500, **settings).fit(rows, labels=Y, groups=Y)
    np.testing.assert_allclose(mixture.group_weights_, np.eye(3), atol=1e-12)
    if family in {"full", "diag"}:
        for k in range(3):
            alone = GaussianMixture(1, max_iter=500, **settings).fit(rows[k == Y])
            np.testing.assert_allclose(mixture.means_[k], alone.means_[0], rtol=1e-4)
    assert (np.diff(mixture.lower_bounds_) > -1e-9).all()


def test_groups_of_text_and_what_is_predicted():
    """Against the same mixture with the weights of each group in turn."""
    names = np.array(["left", "middle", "right"])[np.searchsorted([3, 5, 11], GROUPS)]
    mixture = GaussianMixture(3, random_state=0).fit(X, groups=names)
    same = GaussianMixture(3, random_state=0).fit(X, groups=GROUPS)
    assert mixture.groups_.tolist() == ["left", "middle", "right"]
    np.testing.assert_array_equal(mixture.group_weights_, same.group_weights_)
    densities = np.empty(len(X))
    shares = np.empty((len(X), 3))
    for name, weights in zip(mixture.groups_, mixture.group_weights_, strict=True):
        alone = GaussianMixture(3)
        alone.weights_, alone.means_, alone.covariances_ = weights, mixture.means_, mixture.covariances_
        own = names == name
        densities[own], shares[own] = alone.score_samples(X[own]), alone.predict_proba(X[own])
    np.testing.assert_allclose(mixture.score_samples(X, groups=names.tolist()), densities, atol=1e-12)
    np.testing.assert_allclose(mixture.predict_proba(X, groups=names), shares, rtol=1e-9, atol=1e-300)
    np.testing.assert_array_equal(mixture.predict(X, groups=names), shares.argmax(axis=1))
    assert mixture.score(X, groups=names) == pytest.approx(densities.mean(), rel=1e-12)
    stored = same.score_samples(da.from_array(X, chunks=(50, 4)), groups=GROUPS)
    np.testing.assert_allclose(np.asarray(stored), densities, atol=1e-12)
    parameters = 3 * 4 + 3 * 10 + 3 * 2
    assert mixture.bic(X, groups=names) == pytest.approx(
        -2.0 * densities.sum() + parameters * np.log(len(X)), rel=1e-12
    )
    assert mixture.aic(X) == pytest.approx(-2.0 * mixture.score_samples(X).sum() + 2 * (parameters - 4))


def test_files_keep_groups_and_scikit_learn_does_not(tmp_path):
    names = np.array(["a", "b", "c"])[np.searchsorted([3, 5, 11], GROUPS)]
    mixture = GaussianMixture(3, random_state=0).fit(X, groups=names)
    mixture.save(tmp_path / "model.npz")
    loaded = dgmm.load(tmp_path / "model.npz")
    assert loaded.groups_.tolist() == ["a", "b", "c"]
    predicted = mixture.predict(X, groups=names)
    np.testing.assert_array_equal(loaded.predict(X, groups=names), predicted)
    with pytest.warns(MixtureWarning, match="the weights of the 3 groups are lost"):
        other = mixture.to_sklearn()
    np.testing.assert_allclose(other.score_samples(X), mixture.score_samples(X), rtol=1e-12, atol=1e-12)
    mixture.group_weights_ = mixture.group_weights_[:2]
    with pytest.raises(DataError, match=r"group_weights_ has the shape \(2, 3\)"):
        mixture.save(tmp_path / "other.npz")
    mixture.group_weights_ = loaded.group_weights_
    order = [2, 0, 1]
    np.testing.assert_array_equal(
        mixture.sorted(order).predict(X, groups=names), np.argsort(order)[predicted]
    )
    mixture.fit(X)
    assert not hasattr(mixture, "groups_")
    with pytest.raises(ValueError, match="was fitted without"):
        mixture.predict(X, groups=names)


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    """With the same labels and groups alone."""
    labels = np.where(np.arange(len(X)) % 10, -1, Y)
    first = GaussianMixture(3, random_state=0).fit(X, labels=labels, groups=GROUPS, checkpoint=tmp_path / "c")
    again = GaussianMixture(3, random_state=0).fit(X, labels=labels, groups=GROUPS, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(again.group_weights_, first.group_weights_)
    with pytest.raises(dgmm.CheckpointError, match="the labels' values"):
        GaussianMixture(3, random_state=0).fit(X, labels=Y, groups=GROUPS, checkpoint=tmp_path / "c")


def test_starts_are_where_labels_are():
    """Components keep the numbers of labels, whichever rows have them; seeds decide on the others."""
    labels = np.full(len(X), -1)
    labels[[0, 1, 120, 130]] = [3, 3, 1, 1]
    mixture = GaussianMixture(4, covariance_type="diag", random_state=0).fit(X, labels=labels)
    assert mixture.predict(X[[0, 1, 120, 130]]).tolist() == [3, 3, 1, 1]
    again = GaussianMixture(4, covariance_type="diag", random_state=0).fit(X, labels=labels)
    np.testing.assert_array_equal(mixture.means_, again.means_)
    unknown = GaussianMixture(3, random_state=0).fit(X, labels=np.full(len(X), -1))
    np.testing.assert_array_equal(unknown.means_, GaussianMixture(3, random_state=0).fit(X).means_)


def some(value, where=7):
    labels = np.where(np.arange(len(X)) % 2, -1, Y).astype(float)
    labels[where] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            some(3),
            r"labels holds 3 in row 7, but n_components=3: labels must be numbers",
        ),
        (some(-2), r"labels holds -2 in row 7"),
        (some(0.5), r"labels holds 0.5 in row 7, which is not a whole number"),
        (some(0.9999999999), r"labels holds 0.9999999999 in row 7, which is not a whole number"),
        (some(np.nan), r"labels holds nan in row 7: .* or -1 if not known"),
        (some(np.inf), r"labels holds inf in row 7"),
        (Y[:-1], r"labels has 149 rows, but X has 150"),
        (np.ones((150, 2)), r"labels has 2 columns, but n_components=3"),
        (np.where(np.arange(450).reshape(150, 3) == 10, -0.5, 1.0), r"-0.5 in row 3, column 1"),
        (np.where(np.arange(150)[:, None] == 9, 0.0, np.ones((150, 3))), r"only zeros in row 9"),
        (["setosa"] * 150, r"setosa|text"),
    ],
)
def test_labels_that_are_none(labels, message):
    with pytest.raises((DataError, FileNotFoundError), match=message):
        GaussianMixture(3, random_state=0).fit(X, labels=labels)


@pytest.mark.parametrize("kind", ["two", "list", "array", "some", "frame", "parquet", "dask"])
def test_labels_that_are_text(kind, tmp_path):
    names = ["setosa" if each else "virginica" for each in Y]
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=names)
    frame.to_parquet(path := tmp_path / "iris.parquet")
    rows, labels = {
        "two": (X, names[:2]),
        "list": (X, names),
        "array": (X, np.array(names)),
        "some": (X, [None, *names[1:]]),
        "frame": (frame, "kind"),
        "parquet": (path, "kind"),
        "dask": (X, da.from_array(np.array(names), chunks=40)),
    }[kind]
    held = "text in some rows" if kind == "some" else "text, such as '(setosa|virginica)'"
    with pytest.raises(DataError, match=f"labels holds {held}: labels are numbers of components, from 0"):
        GaussianMixture(3).fit(rows, labels=labels)


def test_labels_of_several_files(tmp_path):
    """A list of paths is no text."""
    paths = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    for path, part in zip(paths, (Y[:70], Y[70:]), strict=True):
        pd.DataFrame({"kind": part}).to_parquet(path)
    found = GaussianMixture(3, random_state=0).fit(X, labels=paths)
    np.testing.assert_array_equal(found.means_, GaussianMixture(3, random_state=0).fit(X, labels=Y).means_)


def test_a_label_without_weight():
    weights = np.where(Y == 1, 0.0, 1.0)
    with pytest.raises(DataError, match="label 1 has 50 rows, all with a sample_weight of 0"):
        GaussianMixture(3, random_state=0).fit(X, sample_weight=weights, labels=Y)


def test_no_rows_are_left_for_components_without_labels():
    with pytest.raises(DataError, match=r"labels leave 0 rows .* for 1 components without a label"):
        GaussianMixture(3, random_state=0).fit(X[:100], labels=Y[:100])


def test_groups_that_are_none():
    groups = GROUPS.astype(float)
    groups[12] = np.nan
    with pytest.raises(DataError, match="groups must be numbers or text, but row 12 has nan"):
        GaussianMixture(3, random_state=0).fit(X, groups=groups)
    with pytest.raises(DataError, match="groups has 3 rows, but X has 150"):
        GaussianMixture(3, random_state=0).fit(X, groups=[1, 2, 3])
    with pytest.raises(DataError, match="groups has 4 columns"):
        GaussianMixture(3, random_state=0).fit(X, groups=X)
    with pytest.raises(DataError, match="row 2 of a column of text holds None"):
        GaussianMixture(3, random_state=0).fit(X, groups=["a", "b", None] * 50)
    mixture = GaussianMixture(3, random_state=0).fit(X, groups=GROUPS)
    with pytest.raises(DataError, match="groups holds 4, which is none of the 3 groups of the fit"):
        mixture.predict(X[:2], groups=[3, 4])
    with pytest.raises(DataError, match="the groups of the fit are numbers, such as 3: give numbers"):
        mixture.predict(X[:2], groups=["a", "b"])


def test_numbers_of_groups_that_would_be_rounded():
    groups = 2**53 + np.arange(len(X)) % 2
    with pytest.raises(DataError, match=r"groups holds whole numbers beyond 2\^53"):
        GaussianMixture(3, random_state=0).fit(X, groups=groups)
    mixture = GaussianMixture(3, random_state=0).fit(X, groups=groups.astype(str))
    assert mixture.group_weights_.shape == (2, 3)


@pytest.mark.filterwarnings("ignore:Best performing")
def test_a_fit_goes_on_with_the_same_groups_or_others():
    """Where they are others, from the weights of all rows."""
    settings = {"random_state": 0, "tol": 0.0, "algorithm": "em"}
    whole = GaussianMixture(3, max_iter=8, **settings).fit(X, groups=GROUPS)
    mixture = GaussianMixture(3, max_iter=4, warm_start=True, **settings).fit(X, groups=GROUPS)
    np.testing.assert_allclose(mixture.fit(X, groups=GROUPS).group_weights_, whole.group_weights_, rtol=1e-9)
    others = np.arange(len(X)) % 5
    mixture.fit(X, groups=others)
    assert mixture.groups_.tolist() == [0, 1, 2, 3, 4]
    assert not hasattr(mixture.fit(X), "groups_")


def test_groups_of_one_row_are_told_of():
    groups = GROUPS.copy()
    groups[:2] = [100, 101]
    with pytest.warns(DataWarning, match="2 of 5 groups have a single row"):
        mixture = GaussianMixture(3, random_state=0).fit(X, groups=groups)
    np.testing.assert_allclose(mixture.group_weights_.sum(axis=1), 1.0, rtol=1e-12)


def test_float32_rows_and_rows_that_are_left_out(generator):
    settings = {"random_state": 0, "tol": 1e-9, "max_iter": 500}
    labels = np.where(np.arange(len(X)) % 3, -1, Y)
    single = GaussianMixture(3, **settings).fit(X.astype(np.float32), labels=labels, groups=GROUPS)
    exact = GaussianMixture(3, **settings).fit(X, labels=labels, groups=GROUPS)
    assert single.means_.dtype == np.float32
    np.testing.assert_allclose(single.group_weights_, exact.group_weights_, atol=1e-4)
    lacking = np.vstack([X, np.full((5, 4), np.nan)])
    order = generator.permutation(155)
    dropped = GaussianMixture(3, missing="drop", **settings).fit(
        lacking[order],
        labels=np.append(labels, [0, 1, 2, -1, -1])[order],
        groups=np.append(GROUPS, [3] * 5)[order],
    )
    assert dropped.n_rows_dropped_ == 5
    np.testing.assert_allclose(dropped.group_weights_, exact.group_weights_, atol=1e-6)


@pytest.mark.parametrize("groups", ["number", "who"])
@pytest.mark.parametrize("kind", ["frame", "dask", "parquet"])
def test_labels_and_groups_by_the_names_of_columns(groups, kind, tmp_path):
    """They are no features, whatever else is told of."""
    features = [f"x{i}" for i in range(4)]
    frame = pd.DataFrame(X, columns=features)
    frame["kind"] = np.where(np.arange(150) % 9, -1, Y)
    frame[groups] = GROUPS if groups == "number" else np.array(["p", "q", "r", "s"])[GROUPS % 4]
    frame.to_parquet(tmp_path / "rows.parquet")
    x = {"frame": frame, "dask": dd.from_pandas(frame, npartitions=2), "parquet": tmp_path / "rows.parquet"}
    own = GaussianMixture(3, random_state=0).fit(frame[features], labels=frame["kind"], groups=frame[groups])
    found = GaussianMixture(3, random_state=0).fit(x[kind], labels="kind", groups=groups)
    assert found.feature_names_in_.tolist() == features
    np.testing.assert_allclose(found.group_weights_, own.group_weights_, rtol=1e-9)
    shares = np.asarray(found.predict_proba(x[kind], groups=groups))
    np.testing.assert_allclose(
        shares, own.predict_proba(frame[features], groups=frame[groups]), rtol=1e-7, atol=1e-12
    )
    labels = GaussianMixture(3, random_state=0).fit_predict(x[kind], labels="kind", groups=groups)
    np.testing.assert_array_equal(np.asarray(labels), shares.argmax(axis=1))
    for method in ("score", "bic", "aic", "assignment_entropy"):
        wanted = getattr(own, method)(frame[features], groups=frame[groups])
        assert getattr(found, method)(x[kind], groups=groups) == pytest.approx(wanted, rel=1e-7)


def test_to_fit_and_predict_takes_what_a_fit_takes(tmp_path):
    one, other, third = (
        dgmm.GaussianMixtureSweep([3], covariance_type="full", random_state=0) for _ in range(3)
    )
    labels = np.where(np.arange(150) % 9, -1, Y)
    expected = one.fit(X, labels=labels, groups=GROUPS).predict(X, groups=GROUPS)
    told = {"labels": labels, "groups": GROUPS, "allow_changed_data": True, "checkpoint": tmp_path / "kept"}
    np.testing.assert_array_equal(other.fit_predict(X, **told), expected)
    np.testing.assert_array_equal(third.fit_predict(X, **told), expected)  # goes on from there
    with pytest.raises(DataError, match="labels"):
        one.fit_predict(X, labels=labels[1:])


@pytest.mark.parametrize("kind", ["frame", "dask", "parquet"])
def test_row_weights_by_the_name_of_a_column(kind, tmp_path):
    """As labels and groups: it is no feature, and a file of that name is refused."""
    features, weights = [f"x{i}" for i in range(4)], np.random.default_rng(0).uniform(0.5, 2.0, 150)
    frame = pd.DataFrame(X, columns=features).assign(w=weights, g=GROUPS)
    frame.to_parquet(tmp_path / "rows.parquet")
    x = {"frame": frame, "dask": dd.from_pandas(frame, npartitions=2), "parquet": tmp_path / "rows.parquet"}
    told = {"sample_weight": "w", "groups": "g"}
    own = {"sample_weight": weights, "groups": GROUPS}
    settings = {"random_state": 0, "tol": 1e-9, "max_iter": 500}
    expected = GaussianMixture(3, **settings).fit(frame[features], **own)
    found = GaussianMixture(3, **settings).fit(x[kind], **told)
    assert found.feature_names_in_.tolist() == features
    np.testing.assert_allclose(found.group_weights_, expected.group_weights_, rtol=1e-6)
    for method in ("score", "assignment_entropy"):
        wanted = getattr(expected, method)(frame[features], **own)
        assert getattr(found, method)(x[kind], **told) == pytest.approx(wanted, rel=1e-6)
    certain = found.standard_errors(x[kind], "sandwich", **told)
    wanted = expected.standard_errors(frame[features], "sandwich", **own)
    np.testing.assert_allclose(certain.means, wanted.means, rtol=1e-5)
    alone = GaussianMixture(2, random_state=0).fit(frame[features])
    grown = GaussianMixture(2, random_state=0).fit(frame[features])
    grown.update(x[kind], "w")
    np.testing.assert_allclose(grown.means_, alone.update(frame[features], weights).means_, rtol=1e-9)
    np.testing.assert_allclose(
        grown.forget(x[kind], "w").weights_, GaussianMixture(2, random_state=0).fit(X).weights_
    )


def test_a_column_that_is_a_file_too_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").touch()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(w=1.0)
    with pytest.raises(DataError, match="sample_weight='w' is a column of the rows, and there is a file"):
        GaussianMixture(2).fit(frame, sample_weight="w")
    with pytest.raises(DataError, match="sample_weight='v' is neither a column nor a path"):
        GaussianMixture(2).fit(frame, sample_weight="v")


def test_merges_go_by_the_weights_of_groups():
    mixture = GaussianMixture(3, random_state=0).fit(X, groups=GROUPS)
    shares = mixture.predict_proba(X, groups=GROUPS)
    undecided = -(shares * np.log(np.maximum(shares, 1e-300))).sum() / len(X)
    assert mixture.merge(X, groups=GROUPS).entropies[-1] == pytest.approx(undecided, rel=1e-8)
