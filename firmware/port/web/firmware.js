/**
 * The firmware as a WebAssembly module: the other end of rppg_web.h. It runs
 * in a worker, on the page and in Node.js.
 */

/** rppg_status_t. */
export const STATUS = Object.freeze({
  OK: 0,
  NOT_READY: 1,
  NO_FACE: 2,
  DROPPED: 3,
  GAP: 4,
  RESTARTED: 5,
});

export const GRID_RATE_HZ = 30;
export const WINDOW_S = 10;
export const MAX_SIDE_PX = 1280;

// Places of rppg_web_result_t, in words.
const BOX = 13;
const NUM_BOXES = 4;  // the face, then the regions
const NUM_WORDS = BOX + NUM_BOXES * 4;
const MAX_BEATS = 8;

/** One measurement at a time. */
export class Firmware {
  /** @param {WebAssembly.Module} module rppg.wasm, compiled. */
  constructor(module) {
    this.exports = new WebAssembly.Instance(module).exports;
    const buffer = this.exports.memory.buffer;  // never grows
    const place = this.exports.rppg_web_result();
    this.words = new Int32Array(buffer, place, NUM_WORDS);
    this.floats = new Float32Array(buffer, place, NUM_WORDS);
    this.pixels = new Uint8ClampedArray(
        buffer, this.exports.rppg_web_pixels(), MAX_SIDE_PX * MAX_SIDE_PX * 4);
    this.beats =
        new Float64Array(buffer, this.exports.rppg_web_beats(), 2 * MAX_BEATS);
    this.minConfidence = this.exports.rppg_web_min_confidence();
    this.start();
  }

  /** Forgets everything. */
  start() {
    const status = this.exports.rppg_web_start();
    if (status !== STATUS.OK) {
      throw new Error(`the firmware does not start: status ${status}`);
    }
  }

  /**
   * Takes the image that lies in `pixels`, R G B A, row after row.
   * @param {number} width pixels, up to MAX_SIDE_PX.
   * @param {number} height pixels, up to MAX_SIDE_PX.
   * @param {number} timeUs when it was taken, whole microseconds.
   * @return {!Object} what became of it; boxes are [x, y, width, height].
   */
  push(width, height, timeUs) {
    const pushStatus = this.exports.rppg_web_push(width, height, timeUs);
    const {words, floats} = this;
    const boxes = [];
    for (let box = 0; words[BOX - 1] && box < NUM_BOXES; ++box) {
      boxes.push([...words.subarray(BOX + 4 * box, BOX + 4 * box + 4)]);
    }
    return {
      pushStatus,
      estimateStatus: words[1],
      numSamples: words[2],
      heartRateBpm: floats[3],
      newestBpm: floats[4],
      confidence: floats[5],
      pulse: floats[6],
      midFaceRgb: [...floats.subarray(7, 10)],
      numFaces: words[10],
      beats: this.#newBeats(words[11]),
      box: boxes[0] ?? null,
      regions: boxes.slice(1),
    };
  }

  #newBeats(num) {
    return Array.from({length: num}, (_, beat) => ({
                                       timeS: this.beats[2 * beat] / 1e6,
                                       quality: this.beats[2 * beat + 1],
                                     }));
  }
}
