"""The notebook of `examples`: its cells run, one after the other, and what they say holds."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "first_mixture.ipynb"


@pytest.mark.filterwarnings("error")
def test_all_cells_run_and_nothing_that_was_shown_is_kept(capsys):
    """Their own assertions hold; outputs are not in the file, where they would not stay true."""
    pytest.importorskip("pandas")
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    assert "GaussianMixture" in capsys.readouterr().out  # the bar
    assert "<caption>Components" in names["mixture"]._repr_mimebundle_()["text/html"]  # pyright: ignore[reportAttributeAccessIssue]
