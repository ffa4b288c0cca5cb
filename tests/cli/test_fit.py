"""The command ``fit``: options, seeds, and what it writes."""

import numpy as np

import dgmm
from tests.cli.test_commands import assert_found, fail, read, run, succeed


class TestFit:
    def test_zarr(self, rows_zarr, tmp_path):
        out = tmp_path / "m.npz"
        printed = succeed("fit", rows_zarr, "-k", 3, "--out", out, "--seed", 1)
        assert_found(out)
        assert "rows            3,000" in printed
        assert "converged" in printed
        assert str(out) in printed

    def test_columns_of_parquet_in_the_order_asked_for(self, rows_parquet, tmp_path):
        out = tmp_path / "m.npz"
        succeed("fit", rows_parquet, "-k", 3, "--out", out, "--columns", "a, b")
        assert_found(out)
        assert list(dgmm.load(out).feature_names_in_) == ["a", "b"]

    def test_more_rows_than_the_sample_are_read_in_passes(self, rows_zarr, tmp_path):
        out = tmp_path / "m.npz"
        result = run("fit", rows_zarr, "-k", 3, "--out", out, "--sample-rows", 500, "--seed", 0)
        assert result.exit_code == 0
        assert_found(out)
        assert dgmm.load(out).n_passes_ > 2
        assert "rows/s" in result.stderr
        assert "(threads compute " in result.stdout
        assert "log-likelihood" in result.stderr

    def test_every_option_reaches_the_model(self, rows_zarr, tmp_path):
        out = tmp_path / "m.npz"
        options = "--covariance diag --init k-means++ --tol 0.01 --max-iter 50 --n-init 2 --reg-covar 1e-5"
        succeed("fit", rows_zarr, "-k", 2, "--out", out, *options.split(), "--seed", 5, "--sample-rows", 400)
        found = dgmm.load(out).get_params()
        assert found["n_components"] == 2
        assert found["covariance_type"] == "diag"
        assert found["init_params"] == "k-means++"
        assert (found["tol"], found["max_iter"], found["n_init"]) == (0.01, 50, 2)
        assert (found["reg_covar"], found["random_state"], found["sample_rows"]) == (1e-5, 5, 400)

    def test_same_seed_same_file_content(self, rows_zarr, tmp_path):
        for name in ("one.npz", "two.npz"):
            succeed("fit", rows_zarr, "-k", 3, "--out", tmp_path / name, "--seed", 3)
        one, two = dgmm.load(tmp_path / "one.npz"), dgmm.load(tmp_path / "two.npz")
        np.testing.assert_array_equal(one.covariances_, two.covariances_)

    def test_a_fit_that_does_not_converge_warns_in_one_line(self, rows_zarr, tmp_path):
        result = run("fit", rows_zarr, "-k", 5, "--max-iter", 1, "--out", tmp_path / "m.npz", "--seed", 0)
        assert result.exit_code == 0
        warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
        assert len(warnings) == 1
        assert "did not converge" in warnings[0]
        assert "stopped before it converged" in result.stdout

    def test_overwrite(self, rows_zarr, tmp_path):
        out = tmp_path / "m.npz"
        out.write_text("precious")
        assert "--overwrite" in fail("fit", rows_zarr, "-k", 3, "--out", out)
        assert out.read_text() == "precious"
        succeed("fit", rows_zarr, "-k", 3, "--out", out, "--overwrite")
        assert_found(out)


class TestBayesian:
    def test_from_rows_to_labels(self, rows_zarr, three_clusters, tmp_path):
        path, labels = tmp_path / "model.npz", tmp_path / "labels.zarr"
        result = run(
            "fit", rows_zarr, "-k", 6, "--out", path, "--bayesian", "--concentration", 0.01, "--seed", 0,
            "--sample-rows", 1000, "--max-iter", 200,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert "lower bound" in result.stderr
        mixture = dgmm.load(path)
        assert isinstance(mixture, dgmm.BayesianGaussianMixture)
        assert mixture.weight_concentration_prior_ == 0.01
        assert f"{mixture.effective_components_} with rows, of 6" in succeed("info", path)
        printed = succeed("score", path, rows_zarr)
        assert f"{mixture.score(three_clusters):.6f}" in printed
        assert "BIC" not in printed
        succeed("predict", path, rows_zarr, "--out", labels)
        np.testing.assert_array_equal(read(labels), mixture.predict(three_clusters))

    def test_a_prior_is_for_bayesian_ones(self, rows_zarr, tmp_path):
        out = tmp_path / "model.npz"
        assert "--bayesian" in fail("fit", rows_zarr, "-k", 2, "--out", out, "--concentration", 1)
