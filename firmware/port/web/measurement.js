/** What is kept of a measurement, and what is saved of it. */

import {GRID_RATE_HZ, STATUS, WINDOW_S} from './firmware.js';

// A beat of at least this quality is believed.
const MIN_BEAT_QUALITY = 0.5;
// A longer interval lacks a beat: 30 beats a minute.
const MAX_INTERVAL_S = 2;
// Over how long frames and motion are looked at.
const RECENT_S = 3;

/** Place of the value that is nearest, of rising ones. */
function nearest(values, value) {
  const next = values.findIndex((other) => other >= value);
  if (next <= 0) {
    return next ? values.length - 1 : 0;
  }
  return value - values[next - 1] < values[next] - value ? next - 1 : next;
}

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
    /**
     * Once a second: {time_s, bpm, newest_bpm, raw_bpm, confidence}; rates are
     * null where rejected.
     */
    this.estimates = [];
    /** Of the last 10 s: [seconds, pulse wave]. */
    this.pulse = [[], []];
    /** All of them: {time_s, quality}. */
    this.beats = [];
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
    this.beats.push(...result.beats.map(
        ({timeS, quality}) => ({time_s: timeS - this.startS, quality})));
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
        newest_bpm: this.bpm === null ? null : result.newestBpm || null,
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

  /** The pulse wave again where a beat is believed to be, else null. */
  get beatMarks() {
    const [times, values] = this.pulse;
    const marks = values.map(() => null);
    for (const {time_s: timeS, quality} of this.beats) {
      if (quality >= MIN_BEAT_QUALITY && timeS >= times[0]) {
        const index = nearest(times, timeS);
        marks[index] = values[index];
      }
    }
    return marks;
  }

  /** Between believed beats: [seconds, milliseconds or null]. */
  get intervals() {
    const times = [];
    const intervals = [];
    for (let beat = 1; beat < this.beats.length; ++beat) {
      const [before, after] = this.beats.slice(beat - 1, beat + 1);
      const intervalS = after.time_s - before.time_s;
      const isSure = intervalS <= MAX_INTERVAL_S &&
          Math.min(before.quality, after.quality) >= MIN_BEAT_QUALITY;
      times.push(after.time_s);
      intervals.push(isSure ? 1e3 * intervalS : null);
    }
    return [times, intervals];
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
          beats: this.beats,
          median_bpm: this.medianBpm,
          withheld_share: num ? 1 - reported / num : null,
        },
        null, 2);
  }

  /** The estimates, as in the JSON. */
  toCsv() {
    const keys = ['time_s', 'bpm', 'newest_bpm', 'raw_bpm', 'confidence'];
    const lines = this.estimates.map(
        (estimate) => keys.map((key) => estimate[key] ?? '').join(','));
    return [keys.join(','), ...lines, ''].join('\n');
  }
}
