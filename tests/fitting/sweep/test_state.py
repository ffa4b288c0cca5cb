"""What a sweep is to fit and has found, without fitting anything."""

from dgmm.fitting.sweep.state import begin
from dgmm.passes.events import DataChanged, PassFinished
from tests.fitting.sweep.test_sweep import MODELS, settings_for


def test_before_it_has_begun():
    found = begin(settings_for())
    assert [(each.family.name, each.n_components) for each in found.candidates] == list(MODELS)
    assert all(each.message == "Not fitted." for each in found.candidates)
    assert (found.n_passes, found.fingerprint, found.sample) == (0, None, None)


def test_passes_are_counted_and_changes_are_told_once_where_they_may_be():
    events = [PassFinished("EM", 10, 0.5), DataChanged("b"), DataChanged("a"), DataChanged("b")]
    for allowed, changes in ((True, ["b", "a"]), (False, None)):
        found = begin(settings_for(allow_changed_data=allowed))
        for event in events:
            found.take(event)
        assert (found.n_passes, found.seconds_of_passes, found.changes) == (1, [0.5], changes)


def test_the_settings_of_a_run_are_those_of_all_its_models():
    settings = settings_for()
    found = settings.of_run(7, None)
    assert (found.seed, found.common) == (7, found.models[0])
    assert [each.method for each in found.models] == [each.method for each in settings.models]
