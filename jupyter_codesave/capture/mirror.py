"""What a terminal and its stand-in have in common: attributes, size, and keys.

curses and pagers set the attributes of the descriptor that they print to. On a stand-in they are
in packet mode told at once, and set on the real terminal.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import termios
from contextlib import suppress
from typing import Any

# Linux tells of changed attributes only where this is set.
_EXTPROC: int = getattr(termios, "EXTPROC", 0x800 if sys.platform == "darwin" else 0o200000)
_CHANGED = 64  # TIOCPKT_IOCTL
_OUTPUT, _LOCAL = 1, 3
_SHARED = (0, _OUTPUT, _LOCAL, 6)  # not the line's speed and parity: these are of the hardware


class Mirror:
    """Keeps a terminal and its stand-in alike, whichever of the two is changed."""

    def __init__(self, real: int, outer: int) -> None:
        """`outer` is the end of the stand-in that we read."""
        self.has_set = False  # the real one's attributes, as the last packet told
        self.wants_keys = False  # who set the attributes is about to read from the stand-in
        self._real, self._outer = real, outer
        self._known: list[Any] = []  # the real one's, when last seen
        self._imposed: list[Any] = []  # the stand-in's, when last set by us
        self._size = b""
        fcntl.ioctl(outer, termios.TIOCPKT, struct.pack("i", 1))
        self.follow()

    def follow(self) -> None:
        """Have the stand-in be as the real terminal is now.

        Not while shells and editors run, which set the real one itself, and soon set it back:
        what they start meanwhile would take that for how the terminal is to be left.
        """
        known = termios.tcgetattr(self._real)
        if known[_LOCAL] & _EXTPROC:  # somebody copied them from the stand-in
            known[_LOCAL] &= ~_EXTPROC
            known[_OUTPUT] |= termios.OPOST
            _set(self._real, known)
        if known != self._known:
            self._known = known
            self._impose()
        self.follow_size()

    def follow_size(self) -> bool:
        """Have the real one's size; tell whether that changed it."""
        size = fcntl.ioctl(self._real, termios.TIOCGWINSZ, b"\0" * 8)
        if size == self._size:
            return False
        self._size = size
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, size)
        return True

    def tell_size(self) -> None:
        """Have who draws look at the size again: the real terminal's signal came before it."""
        with suppress(OSError):
            os.killpg(os.tcgetpgrp(self._real), signal.SIGWINCH)

    def take(self, packet: bytes) -> bytes:
        """Give what was printed; if instead a program set attributes, the real one gets them."""
        self.has_set = False
        if packet[:1] == b"\0" or not packet:
            return packet[1:]
        if packet[0] & _CHANGED:
            with suppress(OSError, termios.error):
                self._take()
        return b""

    def _take(self) -> None:
        wanted = termios.tcgetattr(self._outer)
        if wanted == self._imposed:
            return  # our own doing; or nothing new, while another sets the real one itself
        now = termios.tcgetattr(self._real)
        self.wants_keys = not wanted[_LOCAL] & termios.ICANON
        set_now = list(now)
        for at in _SHARED:
            set_now[at] = wanted[at]
        set_now[_LOCAL] &= ~_EXTPROC
        set_now[_OUTPUT] = wanted[_OUTPUT] & ~termios.OPOST | now[_OUTPUT] & termios.OPOST
        if set_now != now:
            _set(self._real, set_now)
            self.has_set = True
        self._known = termios.tcgetattr(self._real)
        self._impose()

    def _impose(self) -> None:
        before = termios.tcgetattr(self._outer)
        wanted = list(before)
        for at in _SHARED:
            wanted[at] = self._known[at]
        wanted[_LOCAL] |= _EXTPROC
        wanted[_OUTPUT] &= ~termios.OPOST  # the real one does what there is to do
        self.wants_keys = self.wants_keys and not wanted[_LOCAL] & termios.ICANON
        self._imposed = wanted
        if wanted != before:
            termios.tcsetattr(self._outer, termios.TCSANOW, wanted)
            self._imposed = termios.tcgetattr(self._outer)

    def leave(self) -> None:
        """No packets any more: plain bytes."""
        fcntl.ioctl(self._outer, termios.TIOCPKT, struct.pack("i", 0))


def _set(terminal: int, attributes: list[Any]) -> None:
    # In the background this would stop us; it is done for a program in the foreground.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
