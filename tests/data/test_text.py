"""Names are text: whatever they hold, outputs show it, and none of it works on a terminal."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import dgmm
from dgmm import GaussianMixture, load
from dgmm.cli import main
from dgmm.data.text import printable, redacted, with_deviation

NAMES = [
    "flux [/cm2]",
    "[red]",
    "cost_$_$x",
    r"a\$b",
    "a,b",
    'say "x"',
    "line\nbreak",
    "tab\tulator",
    "esc\x1b[31m",
    "\u202eright",
    "naïve 🌌 星",
    ":star:",
    "<b>&",
    "{x}",
    "%d",
    " space ",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_only_control_characters_are_written_otherwise(name):
    shown = printable(name)
    assert not any(sign in shown for sign in "\n\t\x1b\u202e")
    signs = {"\n": r"\n", "\t": r"\t", "\x1b": r"\x1b", "\u202e": r"\u202e"}
    for sign, written in signs.items():
        name = name.replace(sign, written)
    assert shown == name


NOUNS = "rows|components|features|columns|groups|passes|iterations|tasks|models|values|NaN|infinite"
AS_ELSEWHERE = {"validation.py", "parameters.py", "dimensions.py"}
"""Words of scikit-learn's; what somebody has set, of whatever type; and text."""


def bare_counts(source: str) -> list[str]:
    """Return what texts count without a format, ``{…} rows``; values that are set, ``x={…}``, are not."""
    found = []
    for text in ast.walk(ast.parse(source)):
        parts = text.values if isinstance(text, ast.JoinedStr) else []
        written = [part.value if isinstance(part, ast.Constant) else "" for part in parts]
        for value, before, after in zip(parts, ["", *written], [*written[1:], ""], strict=False):
            if isinstance(value, ast.FormattedValue) and value.format_spec is None:
                counts = re.match(rf" ({NOUNS})\b", str(after)) and not str(before).endswith("=")
                shown = f"{{{ast.unparse(value.value)}}}{after}"
                found += [shown] if counts and not shown.startswith("{counted(") else []
    return found


def test_what_is_counted_for_people_has_separators_of_thousands():
    assert bare_counts('f"{n} rows of {m:,} columns"') == ["{n} rows of "]
    modules = (path for path in Path(dgmm.__path__[0]).rglob("*.py") if path.name not in AS_ELSEWHERE)
    assert {path.name: bare for path in modules if (bare := bare_counts(path.read_text("utf-8")))} == {}


def test_a_backslash_alone_is_not_touched():
    assert printable(r"a\nb") == r"a\nb"


@pytest.fixture(scope="module")
def frame():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(120, len(NAMES))) + 8.0 * (np.arange(120) < 60)[:, None]
    return pd.DataFrame(rows, columns=NAMES)


def test_model_files_keep_names(frame, tmp_path):
    GaussianMixture(2, covariance_type="diag", random_state=0).fit(frame).save(tmp_path / "m.npz")
    model = load(tmp_path / "m.npz")
    assert list(model.feature_names_in_) == NAMES
    assert len(model.predict(frame)) == 120
    with pytest.raises(ValueError, match="unseen at fit time:\n- new\\\\nname\n"):
        model.predict(frame.rename(columns={"[red]": "new\nname"}))


def test_the_command_shows_names_and_takes_them(frame, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame.to_parquet(tmp_path / "rows.parquet")
    chosen = [*NAMES[:6], "esc\x1b[31m"]
    columns = [argument for name in chosen for argument in ("--columns", name)]
    commands = (
        ["fit", "rows.parquet", "-k", "2", "--seed", "0", "--out", "m.npz", *columns],
        ["info", "m.npz"],
        ["predict", "m.npz", "rows.parquet", "--out", "l.parquet"],
        ["info", "rows.parquet", *columns[-2:]],
        ["info", "rows.parquet", "--columns", "no\x1b"],
    )
    for command in commands:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == (2 if "no\x1b" in command else 0), done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        if command == ["info", "m.npz"]:
            assert all(name in done.stdout for name in NAMES[:6])
    assert list(load(tmp_path / "m.npz").feature_names_in_) == chosen


SECRETS = [
    ("memory://user:{}@b/x.zarr", "memory://user:***@b/x.zarr"),
    ("memory:///user:{}@b/x.zarr", "memory:///user:***@b/x.zarr"),
    ("/user:{}@b/x.zarr", "/user:***@b/x.zarr"),  # what fsspec makes of it
    ("key:{}@bucket/x.zarr", "key:***@bucket/x.zarr"),
    ("ftp://user:{}@host:21/x@y.csv", "ftp://user:***@host:21/x@y.csv"),
    ("simplecache::https://user:{}@host/x.csv", "simplecache::https://user:***@host/x.csv"),
    ("https://{}@github.com/x.csv", "https://***@github.com/x.csv"),
    ("tcp://user:{}@10.0.0.5:8786", "tcp://user:***@10.0.0.5:8786"),
    ("s3://:{}@bucket/x", "s3://:***@bucket/x"),
    ("https://h/x.parquet?sv=2024&sig={}&se=1", "https://h/x.parquet?sv=2024&sig=***&se=1"),
    (
        "https://h/x?X-Amz-Credential={0}&X-Amz-Signature={0}",
        "https://h/x?X-Amz-Credential=***&X-Amz-Signature=***",
    ),
    ("'ftp://user:{}@host/x', rows 0 to 5", "'ftp://user:***@host/x', rows 0 to 5"),
    ("two: ftp://a:{0}@b/x and ftp://c:{0}@d/y", "two: ftp://a:***@b/x and ftp://c:***@d/y"),
]


@pytest.mark.parametrize("secret", ["TOPSECRET", "p@ss", "p:a:s", "12345", "a%2Fb", "se-cr.et~!$*'()+,;="])
@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_secrets_in_urls_are_not_shown(text, shown, secret):
    if ("?" in text and set("&;@") & set(secret)) or ("github" in text and set(":@") & set(secret)):
        pytest.skip("no such URL")
    if not text.startswith(("memory://u", "ftp", "simple", "tcp", "s3")) and set("@:'(,") & set(secret):
        pytest.skip("such passwords are looked for in URLs")
    assert redacted(text.format(secret)) == shown


def test_a_password_that_should_have_been_quoted_is_not_shown_either():
    assert redacted("ftp://user:a/b?c#d@host/x") == "ftp://user:***@host/x"


@pytest.mark.parametrize(
    "text",
    [
        "abfs://container@account.dfs.core.windows.net/x.zarr",
        "https://host:8080/data@v2/x.zarr",
        "tcp://127.0.0.1:8786, or mail to a@b.org",
        "file:///data:1/a@b",
        "/data/a:b@c/x.zarr: row 3, column 'a@b'",
        "hdfs://user@host:9000/x",
        "column 'x:y@z'",
        "rows 0 to 5: a@b",
        "s3://bucket/x.zarr?versionId=3",
        "key=value, token=abc",
    ],
)
def test_what_is_no_secret_is_shown(text):
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("mean", "deviation", "said"),
    [
        (1.23456, 0.0123, "1.2346 ± 0.0123"),
        (5e6, 2e4, "5e+06 ± 2e+04"),
        (4669.2, 1371.7, "4669 ± 1372"),
        (-3.0, 1.5, "-3.00 ± 1.50"),
        (1.0, 1e-12, "1 ± 1e-12"),
        (5.1234567, 1e-7, "5.1234567 ± 1e-07"),  # so that components differ as much as they do
        (1.7e9 + 1e5, 2e4, "1.7001e+09 ± 2e+04"),
        (1e6 + 0.25, 0.5, "1000000.250 ± 0.500"),
        (1.7230397905091173e299, 0.3, "1.72303979050912e+299 ± 0.3"),  # not 300 digits
        (2.0, 0.0, "2"),
        (2.0, np.inf, "2 ± inf"),
    ],
)
def test_means_with_deviations(mean, deviation, said):
    assert with_deviation(mean, deviation) == said
