"""Sound and pictures: ffmpeg as a child process, and what it can tell about a file. For `handlers.videos` and `handlers.montage`."""
