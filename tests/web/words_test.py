"""What the page keeps of a measurement, and what it says about it."""

import json

import pytest

from tests.support import node
from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_PAGE = stream.FIRMWARE / 'port/web'


def _results(duration_s, rate_hz=30.0, start_s=100.0, **changes):
  """Results of a good measurement, or of one that `changes` spoil."""
  results = []
  for frame in range(round(duration_s * rate_hz)):
    time_s = frame / rate_hz
    num_samples = int(time_s * 30 + 1e-6) + 1
    result = {
      'pushStatus': stream.OK,
      'estimateStatus': stream.NOT_READY if num_samples < 300 else stream.OK,
      'numSamples': num_samples,
      'heartRateBpm': 72.0,
      'newestBpm': 74.0,
      'beats': [],
      'confidence': 0.95,
      'pulse': float(frame % 25),
      'midFaceRgb': [150, 110, 90],
      'box': [200, 100, 100, 100],
      'size': [640, 480],
      'timeS': start_s + time_s,
      'light': 100,
      'tookMs': 5,
    }
    for name, value in changes.items():
      result[name] = value(time_s) if callable(value) else value
    results.append(result)
  return results


def _ask(*cases):
  words = node.run('page_words.mjs', _PAGE, stdin=json.dumps(cases))
  return json.loads(words)


_FACELESS = {'box': None, 'pushStatus': stream.NO_FACE, 'midFaceRgb': [0] * 3}


def _lost_until(end_s, status):
  return lambda time_s: status if time_s < end_s else stream.OK


@pytest.mark.parametrize(
  ('case', 'words'),
  [
    (_results(12), 'The pulse is clear.'),
    (_results(3), 'Hold still until five beats are seen: 7 more seconds'),
    (_results(9.5), 'Hold still until five beats are seen: 1 more second at'),
    (_results(12, confidence=0.8), 'No clear pulse.'),
    (_results(4, **_FACELESS), 'No face in view.'),
    (_results(4, **_FACELESS, light=10), 'It is too dark.'),
    (_results(4, midFaceRgb=[30, 20, 20]), 'The face is too dark.'),
    (_results(4, rate_hz=9), 'Only 9 frames a second arrive; 15 are needed.'),
    (
      _results(4, box=lambda time_s: [200 + 20 * (time_s % 2), 100, 50, 50]),
      'Too much motion.',
    ),
    (
      _results(
        13,
        pushStatus=_lost_until(6, stream.NO_FACE),
        estimateStatus=stream.NO_FACE,
      ),
      'The face was out of view. Hold still: 3 more seconds.',
    ),
    (
      _results(
        13, pushStatus=_lost_until(5, stream.GAP), estimateStatus=stream.GAP
      ),
      'Pictures were missing for a second or more. Keep this page in front: '
      '2 more seconds.',
    ),
  ],
)
def test_it_says_what_matters_most(case, words):
  (answer,) = _ask(case)['answers']
  assert answer['text'].startswith(words)
  assert answer['isGood'] == (words == 'The pulse is clear.')


def test_camera_errors_have_their_sentences():
  errors = _ask()['errors']
  assert errors['NotAllowedError'].startswith('The camera was refused.')
  assert errors['NotFoundError'].startswith('There is no camera.')
  assert errors['OverconstrainedError'] == errors['NotFoundError']
  assert errors['NotReadableError'].startswith('The camera cannot be read.')
  assert errors['AbortError'] == 'The camera does not start: some words'


def test_an_estimate_a_second_is_kept_and_saved():
  def doubtful(time_s):
    return 0.95 if time_s < 12.5 else 0.5

  (answer,) = _ask(_results(14.01, confidence=doubtful))['answers']
  saved = answer['json']
  assert [one['time_s'] for one in saved['estimates']] == [10, 11, 12, 13, 14]
  rates = [one['bpm'] for one in saved['estimates']]
  assert rates == [72, 72, 72, None, None]
  assert saved['video'] == 'me.mp4' and saved['median_bpm'] == 72
  assert saved['frames'] == 420 and saved['face_found_share'] == 1
  assert saved['withheld_share'] == pytest.approx(0.4)
  assert saved['duration_s'] == pytest.approx(14, abs=0.05)
  assert answer['csv'].splitlines()[:2] == [
    'time_s,bpm,newest_bpm,raw_bpm,confidence',
    '10,72,74,72,0.95',
  ]
  assert answer['csv'].splitlines()[-1] == '14,,,72,0.5'
  assert answer['end'] == 'Ended. Median heart rate: 72 beats a minute.'


def test_the_last_10_s_of_the_pulse_wave_are_kept():
  (answer,) = _ask(_results(15))['answers']
  times, values = answer['pulse']
  assert len(times) == len(values) == pytest.approx(301, abs=1)
  assert times[-1] - times[0] == pytest.approx(10, abs=0.05)
  assert times[-1] == pytest.approx(15, abs=0.05)
  assert answer['framesPerS'] == pytest.approx(30, abs=0.1)


def test_beats_are_marked_and_their_intervals_shown():
  results = _results(12)
  # Every 0.8 s, told a second later; the third is doubted, the sixth missing.
  for beat in (1, 2, 3, 4, 5, 7, 8, 10, 11):
    told = results[round((0.8 * beat + 1) * 30)]
    quality = 0.3 if beat == 3 else 0.9
    told['beats'] = [{'timeS': 100 + 0.8 * beat, 'quality': quality}]
  (answer,) = _ask(results)['answers']
  beats = answer['json']['beats']
  assert [one['time_s'] for one in beats][:2] == pytest.approx([0.8, 1.6])
  times, intervals = answer['intervals']
  assert times == pytest.approx([1.6, 2.4, 3.2, 4, 5.6, 6.4, 8, 8.8])
  known = [round(one) if one else None for one in intervals]
  assert known == [800, None, None, 800, 1600, 800, 1600, 800]
  pulse_times, pulse = answer['pulse']
  marked = [
    (time_s, mark)
    for time_s, mark, value in zip(
      pulse_times, answer['marks'], pulse, strict=True
    )
    if mark is not None and mark == value
  ]
  # The window begins at 2 s.
  assert [time_s for time_s, _ in marked] == pytest.approx(
    [3.2, 4, 5.6, 6.4, 8, 8.8], abs=1 / 30
  )


def test_without_an_estimate_there_is_no_heart_rate():
  short, doubtful = _ask(_results(5), _results(12, confidence=0.5))['answers']
  assert short['end'].endswith('five beats of a face at rest are needed.')
  assert doubtful['end'].endswith('no clear pulse in any 10 seconds.')
  assert short['json']['estimates'] == []


def test_after_a_long_gap_time_goes_on():
  later = _results(11, start_s=130)
  later[0]['pushStatus'] = stream.RESTARTED
  (answer,) = _ask(_results(11) + later)['answers']
  times_s = [one['time_s'] for one in answer['estimates']]
  assert times_s == [10, 11, 40, 41]
