"""Shapes, rates and ranges on which Python and C agree.

The only place where these numbers are written: every other module, the tools
that emit C and the tests import them from here.
"""

# --- What the camera side hands to the network ------------------------------

# Order of the regions of interest everywhere: in arrays, files and in C.
# Left and right are those of the image, not of the person.
ROI_NAMES = ('forehead', 'left_cheek', 'right_cheek')
NUM_ROIS = len(ROI_NAMES)

# STM32N6: the NPU model takes one image [1, 36, 36, 3], channels last.
ROI_SIZE_PX = 36
NUM_CHANNELS = 3  # red, green, blue
ROI_FRAME_SHAPE = (ROI_SIZE_PX, ROI_SIZE_PX, NUM_CHANNELS)

# A face that is lost keeps its last box for this long; then the ROI frames
# are zero and face_found is False.
MAX_FACE_HOLD_S = 1.0

# --- Background normalisation (rppg_tf/signals/background.py) ----------------

BACKGROUND_TIME_CONSTANT_S = 1.5
BACKGROUND_GAIN = 10.0

# STM32N6: int8 activations. Input code q stands for q / 128, so the
# normalised range is [-1, 127/128] and normalising writes the NPU's bytes.
NORMALISED_SCALE = 1.0 / 128.0
NORMALISED_ZERO_POINT = 0

# Raw pixels (background mode `none`): pixel p becomes code p - 128.
RAW_SCALE = 1.0 / 255.0
RAW_ZERO_POINT = -128

# --- Network ----------------------------------------------------------------

NUM_SPATIAL_FEATURES = 16  # per ROI frame: what one NPU call returns
NUM_ROI_FEATURES = NUM_ROIS * NUM_SPATIAL_FEATURES  # 48 per video frame
# Of the mid face's mean colour (rppg_tf/signals/chrominance.py); code q is q /
# 1024.
NUM_CHROMINANCE = 4
CHROMINANCE_SCALE = 1.0 / 1024.0
# What a frame leaves in the ring, int16: the ROIs' int8 features, then
# chrominance. The pulse head reads all 52, UltraLightRPPG's window head the
# first 48.
NUM_FRAME_FEATURES = NUM_ROI_FEATURES + NUM_CHROMINANCE
MAX_PARAMETERS = 100_000

# Features, not pixels, are brought to this uniform grid from the measured
# frame times, in training as on the board.
GRID_RATE_HZ = 30

# A heart rate is estimated from the last 10 s of the pulse.
WINDOW_S = 10
WINDOW_SAMPLES = WINDOW_S * GRID_RATE_HZ  # 300
# Evaluation asks for an estimate this often.
WINDOW_STRIDE_S = 1

# Rates at which the pulse head takes the spectrum: 40, 42, ... 180 BPM.
MIN_RATE_BPM = 40
MAX_RATE_BPM = 180
RATE_STEP_BPM = 2
NUM_RATES = (MAX_RATE_BPM - MIN_RATE_BPM) // RATE_STEP_BPM + 1  # 71

STANDARDISATION_TIME_CONSTANT_S = 2.5

# UltraLightRPPG's own window and output range: sigmoid * 150 + 30.
SEED_WINDOW_FRAMES = 8
SEED_OUTPUT_SPAN_BPM = 150.0
SEED_OUTPUT_MIN_BPM = 30.0

# --- Labels -----------------------------------------------------------------

MIN_LABEL_BPM = 40.0
MAX_LABEL_BPM = 160.0
# Windows whose labels deviate (standard deviation) by this or more are dropped.
MAX_LABEL_DEVIATION_BPM = 15.0
# Label of frames that are known to have no pulse (NaN: not known).
NO_PULSE_BPM = 0.0
# No beat for longer than this: the label is NaN.
MAX_BEAT_GAP_S = 2.0
