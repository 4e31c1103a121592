"""Speaks sentences with eSpeak NG: a program of its own, run by `speech.py` once a clip.

eSpeak's noise depends on all that the process has said before, so only a fresh process says the same thing twice.
Reads `[{"text": ..., "seconds": ...}, ...]` from standard input; writes a line of JSON `{"rate": ..., "lengths": [...]}`
to standard output, and after it the samples of all sentences, 16 bits, little endian, one channel.
"""

from __future__ import annotations

import ctypes
import json
import sys

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS, _NO_EXIT, _UTF8, _RATE_PARAMETER = 2, 0x8000, 1, 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
Samples = NDArray[np.int16]


class Voice:
    """The library with an American English voice. `rate` is its sampling rate in Hz."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pieces: list[Samples] = []
        self._callback = _CALLBACK(self._collect)
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _NO_EXIT)
        if self.rate <= 0 or self._library.espeak_SetVoiceByName(b"en-us") != 0:
            raise SystemExit("eSpeak NG did not start: reinstall espeakng-loader")
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, words_per_minute: int) -> Samples:
        """The sentence without the silence around it."""
        self._pieces.clear()
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
        raw = text.encode()
        if self._library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None) != 0 or not self._pieces:
            raise SystemExit(f"eSpeak NG could not say {text!r}")
        sound = np.concatenate(self._pieces)
        loud = np.flatnonzero(np.abs(sound) > 200)
        return sound[loud[0] : loud[-1] + 1]

    def say_within(self, text: str, seconds: float) -> Samples:
        """The sentence at the pace that fills `seconds` best without going over."""
        pace, best = 165, None
        for _ in range(8):
            sound = self.say(text, pace)
            length = len(sound) / self.rate
            if length <= seconds and (best is None or len(sound) > len(best)):
                best = sound
            if 0.93 * seconds <= length <= seconds:
                break
            pace = min(450, max(80, round(pace * length / (0.97 * seconds))))
        if best is None:
            raise SystemExit(f"{text!r} cannot be said in {seconds:.2f} s: give it more time")
        return best

    def _collect(self, wave: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if wave and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0


def main() -> None:
    voice = Voice()
    sounds = [voice.say_within(item["text"], item["seconds"]) for item in json.load(sys.stdin)]
    header = json.dumps({"rate": voice.rate, "lengths": [len(sound) for sound in sounds]})
    sys.stdout.buffer.write(header.encode() + b"\n" + b"".join(sound.astype("<i2").tobytes() for sound in sounds))


if __name__ == "__main__":
    main()
