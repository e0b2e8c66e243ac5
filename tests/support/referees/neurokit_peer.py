"""Measures heart-rate variability with neurokit2, in a venv of its own.

  build/neurokit/bin/python tests/support/referees/neurokit_peer.py < CASES

CASES is JSON: {"beat_s": [times of beats, ...]} or {"wave": [PPGs at 30 Hz,
...]}, whose beats it finds and mends by itself. Prints JSON: [[RMSSD, SDNN,
mean RR], ...] in ms.
"""

import json
import sys

import neurokit2
import numpy as np

_WAVE_HZ = 30
# neurokit2 gives peaks as whole samples.
_FINE_HZ = 300


def main() -> None:
  cases = json.load(sys.stdin)
  found = [_of_beats(np.array(beat_s)) for beat_s in cases.get('beat_s', ())]
  found += [_of_wave(np.array(wave)) for wave in cases.get('wave', ())]
  print(json.dumps(found))


def _of_beats(beat_s: np.ndarray) -> list[float]:
  intervals = {'RRI': 1000 * np.diff(beat_s), 'RRI_Time': beat_s[1:]}
  return _values(neurokit2.hrv_time(intervals, sampling_rate=1000))


def _of_wave(wave: np.ndarray) -> list[float]:
  fine = neurokit2.signal_resample(
    wave, sampling_rate=_WAVE_HZ, desired_sampling_rate=_FINE_HZ
  )
  clean = neurokit2.ppg_clean(fine, sampling_rate=_FINE_HZ)
  peaks = neurokit2.ppg_findpeaks(clean, sampling_rate=_FINE_HZ)['PPG_Peaks']
  _, peaks = neurokit2.signal_fixpeaks(
    peaks, sampling_rate=_FINE_HZ, method='Kubios'
  )
  return _values(neurokit2.hrv_time(peaks, sampling_rate=_FINE_HZ))


def _values(table) -> list[float]:
  names = ('HRV_RMSSD', 'HRV_SDNN', 'HRV_MeanNN')
  return [float(table[name].iloc[0]) for name in names]


if __name__ == '__main__':
  main()
