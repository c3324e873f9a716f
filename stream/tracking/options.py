"""How objects are followed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackOptions:
    """How objects are followed, and what of it is shown. `of` makes them for a run's threshold.

    The defaults were chosen on the first half of one street clip (10 frames a second) and three
    clips of single people and vehicles (24).
    """

    score_begin: float = 0.3
    """What a detection must score to begin a track."""
    score_continue: float = 0.2
    """What it must score to be taken for a track that is there already."""
    score_confirm: float = 0.5
    """What its best sighting must score before a track is shown: things that are a little like a
    person are so in every frame."""
    confirm_frames: int = 3
    """Sightings before a track is shown; shorter ones are mostly false alarms."""
    lost_s: float = 2.0
    """How long a track is kept that nobody sees, to be found again."""
    hold_frames: int = 5
    """Missed frames for which a confirmed track is still shown, moved on."""
    uses_masks: bool = True
    """Whether masks decide where boxes are ambiguous."""

    @classmethod
    def of(cls, score_min: float) -> TrackOptions:
        """Return the options where instances of ``score_min`` and more are wanted."""
        return cls(
            score_begin=score_min,
            score_confirm=max(score_min, cls().score_confirm),
            score_continue=min(score_min / 2, cls().score_continue),
        )
