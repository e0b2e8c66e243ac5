/** Pictures in, what the firmware makes of them out; off the page's thread. */

import {Firmware, MAX_SIDE_PX} from './firmware.js';

// Of how many pixels one counts for the light.
const LIGHT_STRIDE = 127;

/** @type {?Firmware} */
let firmware = null;
const canvas = new OffscreenCanvas(1, 1);
const context =
    canvas.getContext('2d', {alpha: false, willReadFrequently: true});

/** Copies a picture into the firmware's memory; returns its size. */
function read(frame, width, height) {
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(width, height));
  const size =
      [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
  }
  context.drawImage(frame, 0, 0, ...size);
  frame.close();
  firmware.pixels.set(context.getImageData(0, 0, ...size).data);
  return size;
}

/** Mean of the picture in [0, 255], as bright as it looks. */
function meanLight(numPixels) {
  let sum = 0;
  let num = 0;
  for (let pixel = 0; pixel < numPixels; pixel += LIGHT_STRIDE) {
    const [red, green, blue] = firmware.pixels.subarray(4 * pixel);
    sum += 0.3 * red + 0.59 * green + 0.11 * blue;
    num += 1;
  }
  return sum / num;
}

function take({frame, width, height, timeUs}) {
  const startMs = performance.now();
  const size = read(frame, width, height);
  const light = meanLight(size[0] * size[1]);
  const result = firmware.push(...size, timeUs);
  const tookMs = performance.now() - startMs;
  return {...result, size, timeS: timeUs / 1e6, light, tookMs};
}

self.onmessage = ({data}) => {
  if (data.module) {
    firmware = new Firmware(data.module);
    self.postMessage({minConfidence: firmware.minConfidence});
  } else if (data.start) {
    firmware.start();
  } else {
    self.postMessage({of: data.of, result: take(data)});
  }
};
