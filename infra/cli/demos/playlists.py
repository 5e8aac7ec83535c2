"""A playlist of songs whose words are made up here; one more has none, and is listed as failed."""

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
        lines = [f"{verse}\nVerse {part} of a song that goes on and on" for part in range(1, 4)]
        made.append({"title": f"{title} {number + 1}", "artist": "The Stand-ins", "lyrics": "\n".join(lines)})
    return made


def _play(stage: Stage) -> None:
    playlist = {
        "name": "Made on the spot",
        "songs": [*songs(_SONGS), {"title": "Silence", "artist": "Nobody"}],
    }
    result = stage.run("playlists.analyze", playlist, tag="demo").result
    for song in result["songs"]:
        feeling, themes = song["sentiment"]["score"], ", ".join(song["themes"][:3])
        stage.say(f"  {song['title']:<18} {feeling:+.2f}  {song['language']}  {themes}")
    for failed in result["failed"]:
        stage.say(f"  {failed['title']:<18} failed: {failed['error']}")
    stage.say(f"  profile: {result['profile']}")
    if len(result["songs"]) != _SONGS or [one["title"] for one in result["failed"]] != ["Silence"]:
        raise DemoError("not every song is where it belongs")


DEMO = Demonstration(
    extra="playlists",
    variables=lambda _stack: {"PLAYLISTS_SONG_TIME": "150ms"},
    play=_play,
)
