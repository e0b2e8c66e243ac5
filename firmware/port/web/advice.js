/** Says in words what is wrong, and what to do. */

import {STATUS} from './firmware.js';

// Below these a pulse is hard to see.
const MIN_FRAMES_PER_S = 15;
const MIN_FACE_LIGHT = 40;
const MIN_PICTURE_LIGHT = 25;
// Widths of the face in 3 s.
const MAX_MOTION = 0.3;

const CAMERA_ERRORS = {
  NotAllowedError: 'The camera was refused. Allow it for this page in the ' +
      'browser’s address bar, then start again; or open a video.',
  NotFoundError: 'There is no camera. Connect one, or open a video.',
  NotReadableError: 'The camera cannot be read. Close other programs that ' +
      'use it, then start again.',
};
CAMERA_ERRORS.OverconstrainedError = CAMERA_ERRORS.NotFoundError;

export const IDLE = 'Start the camera, or open a video of a face.';
export const STARTING = 'Waiting for the camera. Allow it if you are asked.';
export const UNPLUGGED = 'The camera has gone. Connect it, then start again.';
export const INSECURE = 'The camera does not start: a page may use it only ' +
    'at an https address or on this machine.';
export const UNSUPPORTED = 'This browser cannot take single pictures of a ' +
    'video. A current Chrome, Edge, Firefox or Safari can.';

/** What to do about an error of getUserMedia. */
export function aboutCamera(error) {
  return CAMERA_ERRORS[error.name] ??
      `The camera does not start: ${error.message || error.name}`;
}

/** What to do about what cannot be. */
export function aboutFailure(error) {
  return `Something is wrong with the page: ${error}. Load it again.`;
}

/** What to do about a file that does not play. */
export function aboutFile(name) {
  return `${name} cannot be played. Choose a video that this browser plays, ` +
      'such as MP4 or WebM.';
}

function seconds(num) {
  return `${num} more second${num === 1 ? '' : 's'}`;
}

function aboutFace(measurement) {
  const {last} = measurement;
  if (!last.box) {
    return last.light < MIN_PICTURE_LIGHT ?
        'It is too dark. Turn on a light in front of you.' :
        'No face in view. Look straight into the camera, with the whole ' +
            'face in the picture.';
  }
  if (measurement.light < MIN_FACE_LIGHT) {
    return 'The face is too dark. Turn on a light in front of you.';
  }
  return null;
}

function aboutWindow(measurement) {
  const left = seconds(measurement.secondsLeft);
  return {
    [STATUS.NOT_READY]:
        `Hold still until five beats are seen: ${left} at most.`,
    [STATUS.NO_FACE]: `The face was out of view. Hold still: ${left}.`,
    [STATUS.GAP]: 'Pictures were missing for a second or more. Keep this ' +
        `page in front: ${left}.`,
  }[measurement.last.estimateStatus];
}

/**
 * The one thing that matters most now.
 * @param {!Measurement} measurement with a result.
 * @return {{text: string, isGood: boolean}}
 */
export function about(measurement) {
  const rate = measurement.framesPerS;
  const isSlow = measurement.recentS > 2 && rate < MIN_FRAMES_PER_S;
  const isRestless =
      measurement.bpm === null && measurement.motion > MAX_MOTION;
  const problem = aboutFace(measurement) ??
      (isSlow ? `Only ${rate.toFixed(0)} frames a second arrive; ` +
               `${MIN_FRAMES_PER_S} are needed. Give more light, or close ` +
               'other programs.' :
                null) ??
      (isRestless ? 'Too much motion. Hold your head still.' : null) ??
      aboutWindow(measurement);
  if (problem) {
    return {text: problem, isGood: false};
  }
  return measurement.bpm === null ? {
    text: 'No clear pulse. Hold still, in bright and even light; a ' +
        'photo has none.',
    isGood: false,
  } :
                                    {text: 'The pulse is clear.', isGood: true};
}

/** What to say at the end. */
export function atTheEnd(measurement) {
  const num = measurement?.estimates.length ?? 0;
  if (!num) {
    return 'Ended without a heart rate: five beats of a face at rest are needed.';
  }
  const median = measurement.medianBpm;
  return median === null ?
      'Ended without a heart rate: no clear pulse in any 10 seconds.' :
      `Ended. Median heart rate: ${median.toFixed(0)} beats a minute.`;
}
