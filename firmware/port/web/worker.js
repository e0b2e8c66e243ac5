/** Pictures in, what the firmware makes of them out; off the page's thread. */

import {Firmware, MAX_SIDE_PX} from './firmware.js';

// Of how many pixels one counts for the light.
const LIGHT_STRIDE = 127;

/** @type {?Firmware} */
let firmware = null;
let canCopy = true;
// One picture after the other.
let queue = Promise.resolve();
const canvas = new OffscreenCanvas(1, 1);
const context =
    canvas.getContext('2d', {alpha: false, willReadFrequently: true});

/** Draws a picture, so that it may be reduced, turned or of odd pixels. */
function draw(frame, size) {
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
  }
  context.drawImage(frame, 0, 0, ...size);
  firmware.pixels.set(context.getImageData(0, 0, ...size).data);
}

/** Copies a picture into the firmware's memory; returns its size. */
async function read(frame, width, height) {
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(width, height));
  const size =
      [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const {visibleRect} = frame;
  if (canCopy && visibleRect.width === size[0] &&
      visibleRect.height === size[1]) {
    try {
      // A third of the time, and the same pixels.
      await frame.copyTo(firmware.pixels, {format: 'RGBA'});
      return size;
    } catch {
      canCopy = false;  // as this browser does not know RGBA
    }
  }
  draw(frame, size);
  return size;
}

/** Mean of the picture in [0, 255], as bright as it looks. */
function meanLight(numPixels) {
  let sum = 0;
  let num = 0;
  for (let pixel = 0; pixel < numPixels; pixel += LIGHT_STRIDE) {
    const at = 4 * pixel;
    sum += 0.3 * firmware.pixels[at] + 0.59 * firmware.pixels[at + 1] +
        0.11 * firmware.pixels[at + 2];
    num += 1;
  }
  return sum / num;
}

async function take({frame, width, height, timeUs}) {
  const startMs = performance.now();
  const size = await read(frame, width, height);
  frame.close();
  const light = meanLight(size[0] * size[1]);
  const result = firmware.push(...size, timeUs);
  const tookMs = performance.now() - startMs;
  return {...result, size, timeS: timeUs / 1e6, light, tookMs};
}

async function answer(data) {
  if (data.module) {
    firmware = new Firmware(data.module);
    self.postMessage({minConfidence: firmware.minConfidence});
  } else if (data.start) {
    firmware.start();
  } else {
    self.postMessage({of: data.of, result: await take(data)});
  }
}

self.onmessage = ({data}) => {
  queue = queue.then(() => answer(data)).catch((error) => self.postMessage({
    error: String(error)
  }));
};
