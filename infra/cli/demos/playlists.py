"""A playlist of songs whose words are made up here; one more has none, and is listed as failed."""

from typing import Any

from infra.cli.demos.stage import DemoError, Demonstration, Stage

_MOODS = (
    (
        "Sunrise Drive",
        "I love this golden morning\nWe dance and laugh along the road\nThe summer light is wonderful",
    ),
    (
        "Empty Rooms",
        "I cry alone in empty rooms\nYou left me and the night is cruel\nThe rain is cold and I am lost",
    ),
    (
        "Paper Boats",
        "We fold the paper into boats\nAnd let the slow green river carry them\nPast the mill and out to sea",
    ),
)
_SONGS = 12


def songs(count: int) -> list[dict[str, str]]:
    """Songs with words."""
    made = []
    for number in range(count):
        title, verse = _MOODS[number % len(_MOODS)]
        lyrics = "\n\n".join([verse] * 3)
        made.append({"title": f"{title} {number + 1}", "artist": "The Stand-ins", "lyrics": lyrics})
    return made


def _play(stage: Stage) -> None:
    playlist = {
        "name": "Made on the spot",
        "songs": [*songs(_SONGS), {"title": "Silence", "artist": "Nobody"}],
    }
    result = stage.run("playlists.analyze", playlist, tag="demo").result
    for song in result["songs"]:
        feeling, phrases = song["sentiment"]["score"], ", ".join(song["key_phrases"][:3])
        stage.say(f"  {song['title']:<18} {feeling:+.2f}  {song['language']}  {phrases}")
    for failed in result["failed"]:
        stage.say(f"  {failed['title']:<18} failed: {failed['error']}")
    for name, told in result["profile"].items():
        stage.say(f"  {name.replace('_', ' ')}: {_in_words(told)}")
    if len(result["songs"]) != _SONGS or [one["title"] for one in result["failed"]] != ["Silence"]:
        raise DemoError("not every song is where it belongs")


def _in_words(told: Any) -> str:
    """A part of the profile: a number, names with their numbers, or a list of such."""
    if isinstance(told, dict):
        return ", ".join(f"{name} {value}" for name, value in told.items())
    return "; ".join(map(_in_words, told)) or "none" if isinstance(told, list) else str(told)


DEMO = Demonstration(
    extra="playlists",
    variables=lambda _stack: {"PLAYLISTS_SONG_TIME": "150ms"},
    play=_play,
)
