"""Known answers of background normalisation; the bytes that the NPU reads."""

import ctypes
import math
import subprocess

import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.signals import background

# The formula as firmware would write it, for one pixel over time.
_IN_C = """
#include <math.h>
#include <stdint.h>
void codes_of(const uint8_t *pixels, const double *time_s, int32_t num_frames,
              int8_t *codes) {
  float level = (float)pixels[0];
  for (int32_t frame = 0; frame < num_frames; ++frame) {
    const float pixel = (float)pixels[frame];
    const float code = rintf((pixel / (level + 1.0f) - 1.0f) * 1280.0f);
    const double elapsed_s = frame ? time_s[frame] - time_s[frame - 1] : 0.0;
    const double settled = 1.0 - exp(-elapsed_s / 1.5);
    const float weight = (float)fmax(settled, 1.0 / (double)(frame + 1));
    codes[frame] = (int8_t)fminf(fmaxf(code, -128.0f), 127.0f);
    level += weight * (pixel - level);
  }
}
"""

_SHAPE = (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)


def _recording(seed: int = 1, num_frames: int = 60):
  rng = np.random.default_rng(seed)
  frames = rng.integers(0, 256, (num_frames, *_SHAPE), np.uint8)
  timestamp_s = np.cumsum(rng.uniform(0.0, 0.06, num_frames))
  return frames, timestamp_s, np.ones(num_frames, bool)


def _by_the_formula(frames, timestamp_s):
  """float64 values before rounding, pixel by pixel as the formula reads."""
  level = frames[0].astype(np.float64)
  values = []
  for index, frame in enumerate(frames.astype(np.float64)):
    value = (frame / (level + 1) - 1) * contract.BACKGROUND_GAIN
    values.append(np.clip(value, -1, 127 / 128))
    elapsed_s = timestamp_s[index] - timestamp_s[index - 1] if index else 0
    weight = 1 - math.exp(-elapsed_s / contract.BACKGROUND_TIME_CONSTANT_S)
    level += max(weight, 1 / (index + 1)) * (frame - level)
  return np.array(values)


def test_codes_are_the_formula_rounded_to_int8():
  frames, timestamp_s, found = _recording()
  codes = background.input_codes(frames, timestamp_s, found)
  exact = _by_the_formula(frames, timestamp_s) / contract.NORMALISED_SCALE
  assert codes.dtype == np.int8
  # Half a code of rounding; the rest is float32 against float64.
  assert np.abs(codes - exact).max() <= 0.5 + 1e-3


def test_first_frame_of_grey_99_is_known():
  frames = np.full((1, *_SHAPE), 99, np.uint8)
  codes = background.input_codes(frames, np.zeros(1), np.ones(1, bool))
  # (99 / 100 - 1) * 10 * 128 = -12.8
  assert np.unique(codes).tolist() == [-13]


def test_a_pulse_of_a_tenth_of_a_grey_level_is_seen():
  time_s = np.arange(300) / 30
  level = 120 + 0.1 * np.sin(2 * np.pi * 1.2 * time_s)
  noise = np.random.default_rng(3).normal(0, 1, (300, *_SHAPE))
  frames = np.rint(level[:, None, None, None, None] + noise).astype(np.uint8)
  codes = background.input_codes(frames, time_s, np.ones(300, bool))
  mean_code = codes[90:].mean(axis=(1, 2, 3, 4))
  spectrum = np.abs(np.fft.rfft(mean_code - mean_code.mean()))
  # 210 frames at 30 Hz: 1.2 Hz is bin 8.4.
  assert abs(np.argmax(spectrum[2:]) + 2 - 8.4) <= 1


def test_frame_by_frame_equals_whole_recording():
  frames, timestamp_s, found = _recording(2)
  normaliser = background.BackgroundNormaliser()
  streamed = [
    normaliser.push(frame, time_s)
    for frame, time_s in zip(frames, timestamp_s, strict=True)
  ]
  codes = background.input_codes(frames, timestamp_s, found)
  np.testing.assert_array_equal(streamed, codes)


def test_lost_face_gives_zeros_and_a_fresh_start():
  frames, timestamp_s, found = _recording(4)
  found[20:30] = False
  codes = background.input_codes(frames, timestamp_s, found)
  assert not codes[20:30].any()
  after = background.input_codes(frames[30:], timestamp_s[30:], found[30:])
  np.testing.assert_array_equal(codes[30:], after)


def test_duplicate_time_stamps_keep_codes_finite_and_settled():
  frames, timestamp_s, found = _recording(5)
  timestamp_s[:] = 1.0
  codes = background.input_codes(frames, timestamp_s, found)
  exact = _by_the_formula(frames, timestamp_s) * 128
  assert np.abs(codes - exact).max() <= 0.5 + 1e-3


def test_raw_mode_is_pixel_minus_128():
  frames, timestamp_s, found = _recording(6, 2)
  codes = background.input_codes(frames, timestamp_s, found, 'none')
  np.testing.assert_array_equal(codes, frames.astype(np.int16) - 128)
  scale, zero_point = background.input_quantisation('none')
  np.testing.assert_allclose(
    (codes.astype(np.float64) - zero_point) * scale, frames / 255, atol=1e-12
  )


def test_unknown_mode_is_refused():
  frames, timestamp_s, found = _recording(7, 2)
  with pytest.raises(ValueError, match=r"expected one of .* got 'raw'"):
    background.input_codes(frames, timestamp_s, found, 'raw')


@pytest.mark.slow
def test_the_bytes_are_those_of_the_same_formula_in_c(tmp_path):
  source, library = tmp_path / 'codes.c', tmp_path / 'codes.so'
  source.write_text(_IN_C)
  flags = ['-std=c99', '-O2', '-ffp-contract=off', '-shared', '-fPIC', '-lm']
  subprocess.run(['cc', source, '-o', library, *flags], check=True)
  codes_of = ctypes.CDLL(str(library)).codes_of
  frames, timestamp_s, found = _recording(8, 120)
  pixels = np.ascontiguousarray(frames.reshape(120, -1).T)
  in_c = np.empty(pixels.shape, np.int8)
  for row in range(len(pixels)):
    codes_of(
      pixels[row].ctypes,
      timestamp_s.ctypes,
      ctypes.c_int32(120),
      in_c[row].ctypes,
    )
  codes = background.input_codes(frames, timestamp_s, found)
  np.testing.assert_array_equal(in_c, codes.reshape(120, -1).T)
