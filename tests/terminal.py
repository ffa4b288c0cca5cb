"""A terminal of 80 columns, in which commands are run as a person runs them."""

import os
import pty
import re
import subprocess
import sys
from dataclasses import dataclass
from fcntl import ioctl
from struct import pack
from termios import TIOCSWINSZ

import pyte

from tests.waiting import PATIENCE

COLUMNS, LINES = 80, 24


@dataclass(frozen=True)
class Shown:
    """What a command has shown: the frames, each as lines of the screen, the last one as it was left."""

    code: int
    frames: list[list[str]]

    @property
    def left(self) -> list[str]:
        """The lines that stayed."""
        return self.frames[-1]

    def ever(self, text: str) -> bool:
        """Return whether a text was in a line of some frame."""
        return any(text in line for frame in self.frames for line in frame)


def run_in_terminal(*command: str, **environment: str) -> Shown:
    """Run ``python -m`` with all of its streams on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, pack("HHHH", LINES, COLUMNS, 0, 0))
    own = {"TERM": "xterm-256color", "COLUMNS": "", "LINES": "", "NO_COLOR": "", **environment}
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **own},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        screen = pyte.Screen(COLUMNS, LINES)
        stream = pyte.ByteStream(screen)
        frames = [[""]]
        try:
            while data := os.read(ours, 2**16):
                for part in re.findall(
                    rb"[^\r]*\r|[^\r]+", data
                ):  # the display is redrawn from a line's begin
                    stream.feed(part)
                    frames.append([line.rstrip() for line in screen.display])
        except OSError:  # the other side is closed
            pass
        finally:
            os.close(ours)
        return Shown(process.wait(timeout=PATIENCE), frames)
