"""One trip over the data: spans, tasks, a fixed tree, one result."""
