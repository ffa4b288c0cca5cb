"""Where rows live: Zarr, Parquet, Dask collections, memory."""

from dgmm.data.open import open_dataset, open_weights
from dgmm.data.source import Chunk, DataError, DataWarning, LazyChunk, Source, Span

__all__ = ["Chunk", "DataError", "DataWarning", "LazyChunk", "Source", "Span", "open_dataset", "open_weights"]
