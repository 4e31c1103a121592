from __future__ import annotations

from hardcut.media.cuts import Cut
from hardcut.media.survey import Survey
from hardcut.synth.evidence.shots import shot_evidence, told_cuts


def survey(*cuts: Cut, watched: tuple[tuple[float, float], ...] = ((0.0, 3.96),), duration_s: float = 4.0) -> Survey:
    return Survey((), cuts, watched, duration_s)


def spans(make_video, given: Survey, threshold: float = 16.0) -> list[tuple[str, float, float]]:
    found = shot_evidence(make_video(duration_s=given.duration_s), given, threshold)
    return [(shot.text, shot.span.start, shot.span.end) for shot in found if shot.span]


def test_cuts_divide_shots(make_video) -> None:
    given = survey(Cut(1.4, 1.36, 60.0), Cut(2.64, 2.6, 35.5))
    assert spans(make_video, given) == [
        ("shot 1 of 3", 0, 1.38),
        ("shot 2 of 3", 1.38, 2.62),
        ("shot 3 of 3", 2.62, 4),
    ]
    shots = shot_evidence(make_video(duration_s=4), given, 16.0)
    assert [shot.support for shot in shots] == [None, {"change": 60.0}, {"change": 35.5}]


def test_a_dissolve_ends_a_shot_in_its_middle(make_video) -> None:
    assert spans(make_video, survey(Cut(2.5, 1.5, 50.0)))[0] == ("shot 1 of 2", 0, 2)


def test_a_faint_cut_is_told_where_the_settings_ask_for_it(make_video) -> None:
    given = survey(Cut(1.4, 1.36, 9.0))
    assert told_cuts(given, 16.0) == []
    assert len(spans(make_video, given, 8.0)) == 2


def test_a_shot_whose_end_nobody_saw_is_not_told(make_video) -> None:
    """Pictures are missing from second 4 to second 60: there may be cuts in between, or none."""
    gap = ((0.0, 4.0), (60.0, 63.9))
    assert spans(make_video, survey(watched=gap, duration_s=63.9)) == []
    told = spans(make_video, survey(Cut(2.0, 1.96, 60.0), watched=gap, duration_s=63.9))
    assert told == [("shot 1 of 1", 0, 1.98)]


def test_single_pictures_a_second_apart_are_no_shots(make_video) -> None:
    alone = tuple((float(second), float(second)) for second in range(20))
    assert spans(make_video, survey(watched=alone, duration_s=20)) == []
