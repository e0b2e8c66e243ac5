/** What is kept of a measurement, and what is saved of it. */

import {GRID_RATE_HZ, STATUS, WINDOW_S} from './firmware.js';

// Over how long frames and motion are looked at.
const RECENT_S = 3;

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] :
                             (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Results of the firmware, frame by frame → estimates, pulse, circumstances.
 */
export class Measurement {
  /**
   * @param {string} source the file's name, or the camera's.
   * @param {number} minConfidence below it an estimate is rejected.
   */
  constructor(source, minConfidence) {
    this.source = source;
    this.minConfidence = minConfidence;
    this.numFrames = 0;
    this.numFaceFrames = 0;
    this.numSkipped = 0;  // frames that there was no time for
    /** @type {?Object} the newest result. */
    this.last = null;
    /** Once a second: {time_s, bpm, raw_bpm, confidence}; bpm may be null. */
    this.estimates = [];
    /** Of the last 10 s: [seconds, pulse wave]. */
    this.pulse = [[], []];
    this.recent = [];
    this.originS = 0;    // time of sample 0
    this.badSinceS = 0;  // a face or frames were missing up to then
  }

  /** @param {!Object} result of worker.js. */
  push(result) {
    const numBefore = this.last?.numSamples ?? 0;
    if (this.last === null || result.pushStatus === STATUS.RESTARTED) {
      this.originS = result.timeS;
      this.pulse = [[], []];
    }
    this.startS ??= result.timeS;
    this.last = result;
    this.numFrames += 1;
    this.numFaceFrames += result.box ? 1 : 0;
    if ([STATUS.NO_FACE, STATUS.GAP].includes(result.pushStatus)) {
      this.badSinceS = result.timeS;
    }
    this.recent.push(result);
    while (result.timeS - this.recent[0].timeS > RECENT_S) {
      this.recent.shift();
    }
    if (result.numSamples !== numBefore) {
      this.#noteSample(result, numBefore);
    }
  }

  #noteSample(result, numBefore) {
    const [times, values] = this.pulse;
    const timeS = this.#sampleTimeS(result.numSamples - 1);
    times.push(timeS);
    values.push(result.pulse);
    while (timeS - times[0] > WINDOW_S) {
      times.shift();
      values.shift();
    }
    const second = Math.floor(result.numSamples / GRID_RATE_HZ);
    // Before 10 s what would be rejected is no estimate.
    if (second > Math.floor(numBefore / GRID_RATE_HZ) &&
        result.estimateStatus !== STATUS.NOT_READY &&
        (second >= WINDOW_S || this.bpm !== null)) {
      this.estimates.push({
        time_s: this.#sampleTimeS(second * GRID_RATE_HZ),
        bpm: this.bpm,
        raw_bpm: result.heartRateBpm,
        confidence: result.confidence,
      });
    }
  }

  #sampleTimeS(sample) {
    return this.originS - this.startS + sample / GRID_RATE_HZ;
  }

  /** The heart rate over the last 10 s, or null where none is sure. */
  get bpm() {
    const isSure = this.last?.estimateStatus === STATUS.OK &&
        this.last.confidence >= this.minConfidence;
    return isSure ? this.last.heartRateBpm : null;
  }

  /** Seconds until the last 10 s are whole and had a face throughout. */
  get secondsLeft() {
    const {numSamples, timeS} = this.last;
    const unfilledS = WINDOW_S - numSamples / GRID_RATE_HZ;
    const spoiltS = this.badSinceS ? this.badSinceS + WINDOW_S - timeS : 0;
    return Math.max(1, Math.ceil(Math.max(unfilledS, spoiltS)));
  }

  get recentS() {
    return this.last.timeS - this.recent[0].timeS;
  }

  /** Frames a second, of late; 0 for less than two frames. */
  get framesPerS() {
    return this.recentS > 0 ? (this.recent.length - 1) / this.recentS : 0;
  }

  /** Milliseconds that a frame took in the worker: the median of late. */
  get frameMs() {
    return median(this.recent.map(({tookMs}) => tookMs));
  }

  /** How far the face moved of late, in widths of it. */
  get motion() {
    const boxes = this.recent.map(({box}) => box).filter(Boolean);
    if (!boxes.length) {
      return 0;
    }
    const ranges = [0, 1].map((axis) => {
      const middles = boxes.map((box) => box[axis] + box[axis + 2] / 2);
      return Math.max(...middles) - Math.min(...middles);
    });
    return Math.hypot(...ranges) / boxes.at(-1)[2];
  }

  /** Brightness in [0, 255]: of the face, or without one of the picture. */
  get light() {
    const [red, green, blue] = this.last.midFaceRgb;
    return this.last.box ? 0.3 * red + 0.59 * green + 0.11 * blue :
                           this.last.light;
  }

  get medianBpm() {
    const rates = this.estimates.map(({bpm}) => bpm).filter((bpm) => bpm);
    return rates.length ? median(rates) : null;
  }

  /** Keys as of `rppg-measure --json`, of what the firmware tells. */
  toJson() {
    const num = this.estimates.length;
    const reported = this.estimates.filter(({bpm}) => bpm !== null).length;
    const durationS = this.last ? this.last.timeS - this.startS : 0;
    return JSON.stringify(
        {
          video: this.source,
          backend: 'wasm',
          confidence_threshold: this.minConfidence,
          frames: this.numFrames,
          frames_lost: this.numSkipped,
          duration_s: durationS,
          face_found_share:
              this.numFrames ? this.numFaceFrames / this.numFrames : 0,
          estimates: this.estimates,
          median_bpm: this.medianBpm,
          withheld_share: num ? 1 - reported / num : null,
        },
        null, 2);
  }

  /** The estimates, as in the JSON. */
  toCsv() {
    const keys = ['time_s', 'bpm', 'raw_bpm', 'confidence'];
    const lines = this.estimates.map(
        (estimate) => keys.map((key) => estimate[key] ?? '').join(','));
    return [keys.join(','), ...lines, ''].join('\n');
  }
}
