import itertools

import numpy as np
import pytest
import zarr

from dgmm.data.variables import Variable, dimensions_of

SHAPE, CHUNKS, NAMES = (4, 5, 3), (3, 2, 2), ("a", "b", "c")
VALUES = np.arange(60.0).reshape(SHAPE)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names_of_dimensions(zarr_format):
    group = zarr.open_group({}, mode="w", zarr_format=zarr_format)
    plain = group.create_array("plain", shape=(2, 3), dtype="f8")
    assert dimensions_of(plain) == ("dim_0", "dim_1")
    if zarr_format == 3:
        named = group.create_array("named", shape=(2, 3), dtype="f8", dimension_names=["x", None])
        assert dimensions_of(named) == ("x", "dim_1")
        return
    plain.attrs["_ARRAY_DIMENSIONS"] = ["x", "y"]
    assert dimensions_of(plain) == ("x", "y")
    plain.attrs["_ARRAY_DIMENSIONS"] = ["x"]  # damaged: of another array
    assert dimensions_of(plain) == ("dim_0", "dim_1")


@pytest.mark.parametrize(
    "sample_dims", [p for n in (1, 2, 3) for p in itertools.permutations(NAMES, n)], ids=str
)
def test_rows_and_features_in_any_order_of_dimensions(sample_dims):
    array = zarr.create_array({}, shape=SHAPE, chunks=CHUNKS, dtype="f8", dimension_names=NAMES)
    array[:] = VALUES
    variable = Variable.of(array, sample_dims, "x")
    part = tuple(slice(1, array.shape[NAMES.index(dim)]) for dim in sample_dims)
    features = [dim for dim in NAMES if dim not in sample_dims]
    axes = [NAMES.index(dim) for dim in (*sample_dims, *features)]
    expected = VALUES.transpose(axes)[part]
    expected = expected.reshape(-1, variable.n_features)
    np.testing.assert_array_equal(variable.read(part, fill_missing=False), expected)
    assert variable.sample_shape == tuple(np.take(SHAPE, axes[: len(sample_dims)]))
    assert variable.n_features == VALUES.size // np.prod(variable.sample_shape)
