/** The page: what its controls do and what it shows. */

import * as advice from './advice.js';
import {Chart, drawBoxes} from './charts.js';
import {WINDOW_S} from './firmware.js';
import {Measurement} from './measurement.js';
import * as source from './source.js';

// Pictures that wait for the worker: a file is paused, a camera's next ones are
// left out.
const MAX_WAITING = 3;
const NUMBERS_EVERY_MS = 250;
const SPOKEN_EVERY_S = 10;

const find = (id) => document.getElementById(id);
const stage = find('stage');
const video = find('video');

const pulseChart = new Chart(find('pulse'), {
  colour: '--pulse',
  values: false,
  marks: true,
  times: (_, low, high) => [high - WINDOW_S, high],
});
const trendChart = new Chart(find('trend'), {
  colour: '--trend',
  values: true,
  times: (_, low, high) => [0, Math.max(high, 3 * WINDOW_S)],
  range: (_, low, high) => [(low ?? 65) - 5, (high ?? 85) + 5],
});

const intervalChart = new Chart(find('intervals'), {
  colour: '--trend',
  values: true,
  times: (_, low, high) => [0, Math.max(high, 3 * WINDOW_S)],
  range: (_, low, high) => [(low ?? 700) - 50, (high ?? 1000) + 50],
});

let worker = null;
let minConfidence = 0;
let measurement = null;
let run = 0;      // results of an earlier one are late
let waiting = 0;  // pictures that the worker has not yet answered
let isEnding = false;
let isDue = false;  // to be drawn
let numbersMs = 0;
let spokenS = 0;

const pictures = new source.Source(video, (picture) => {
  if (waiting >= MAX_WAITING && pictures.isCamera) {
    measurement.numSkipped += 1;
    picture.frame.close();
    return;
  }
  waiting += 1;
  if (waiting >= MAX_WAITING) {
    video.pause();
  }
  worker.postMessage({...picture, of: run}, [picture.frame]);
});

// --- The worker --------------------------------------------------------------

/** A worker that this page's Content-Security-Policy binds: one of a blob. */
function makeWorker() {
  const url = new URL('worker.js', import.meta.url).href;
  const blob =
      new Blob([`import ${JSON.stringify(url)};`], {type: 'text/javascript'});
  return new Worker(URL.createObjectURL(blob), {type: 'module'});
}

async function startWorker() {
  const module = await WebAssembly.compileStreaming(fetch('rppg.wasm'));
  const started = makeWorker();
  await new Promise((resolve, reject) => {
    started.onerror = () => reject(new Error('the worker does not start'));
    started.onmessage = ({data}) => resolve(minConfidence = data.minConfidence);
    started.postMessage({module});
  });
  worker = started;
  worker.onmessage = ({data}) => {
    if (data.error) {
      end(advice.aboutFailure(data.error), 'bad');
      return;
    }
    waiting -= 1;
    if (data.of === run) {
      take(data.result);
    }
  };
}

function take(result) {
  measurement.push(result);
  if (isEnding && !waiting) {
    end(advice.atTheEnd(measurement));
  } else if (!pictures.isCamera && video.paused && !video.ended) {
    video.play().catch(() => {});  // closed meanwhile
  }
  if (!isDue) {
    isDue = true;
    requestAnimationFrame(show);
  }
}

// --- What is shown -----------------------------------------------------------

/** Shows advice; `kind` is good, bad or none of them. */
function say(text, kind = '') {
  const element = find('advice');
  if (element.textContent !== text) {
    element.textContent = text;
  }
  element.className = kind;
}

function show() {
  isDue = false;
  if (!measurement.last) {  // another one has begun
    return;
  }
  pulseChart.show([...measurement.pulse, measurement.beatMarks]);
  if (isRunning()) {
    drawBoxes(find('boxes'), measurement.last);
  }
  const nowMs = performance.now();
  if (nowMs - numbersMs >= NUMBERS_EVERY_MS) {
    numbersMs = nowMs;
    showNumbers();
  }
}

/** What would be too restless to be shown with every picture. */
function showNumbers() {
  const {last, bpm, estimates, medianBpm} = measurement;
  find('boxes').setAttribute(
      'aria-label', last.box ? 'A box around the face' : 'No face in view');
  find('bpm').value = bpm === null ? '–' : bpm.toFixed(0);
  find('confidence').value = last.confidence;
  trendChart.show(
      ['time_s', 'bpm'].map((key) => estimates.map((one) => one[key])));
  intervalChart.show(measurement.intervals);
  find('trend').setAttribute(
      'aria-label',
      medianBpm ? `Heart rate over time; median ${medianBpm.toFixed(0)}` :
                  'Heart rate over time');
  find('facts').textContent = facts();
  if (isRunning()) {
    const {text, isGood} = advice.about(measurement);
    say(text, isGood ? 'good' : 'bad');
    speak();
  }
  allowControls();
}

function facts() {
  const {last, framesPerS, numSkipped, frameMs} = measurement;
  const skipped = numSkipped ? `, ${numSkipped} left out` : '';
  return `${last.size.join(' × ')} pixels, ${framesPerS.toFixed(0)} frames/s` +
      `${skipped}, ${frameMs.toFixed(1)} ms a frame`;
}

/** For those who do not see the number. */
function speak() {
  const {bpm, last} = measurement;
  if (bpm !== null && Math.abs(last.timeS - spokenS) >= SPOKEN_EVERY_S) {
    spokenS = last.timeS;
    find('spoken').textContent = `${bpm.toFixed(0)} beats a minute`;
  }
}

function isRunning() {
  return stage.classList.contains('running');
}

function allowControls() {
  find('start').disabled = isRunning() || !worker;
  find('open').disabled = isRunning() || !worker;
  find('stop').disabled = !isRunning();
  const isSomething = Boolean(measurement?.estimates.length);
  find('json').disabled = !isSomething;
  find('csv').disabled = !isSomething;
}

// --- Start and end -----------------------------------------------------------

/** Prepares a measurement; `open` starts the pictures. */
async function begin(open, explain) {
  run += 1;
  isEnding = false;
  spokenS = 0;
  measurement = new Measurement('', minConfidence);
  worker.postMessage({start: true});
  stage.classList.add('running', 'showing');
  allowControls();
  const own = run;
  try {
    await open();
    if (own === run) {
      measurement.source = pictures.name;
      stage.classList.toggle('mirrored', pictures.isCamera);
    }
  } catch (error) {
    if (own === run) {
      stage.classList.remove('showing');
      end(explain(error), 'bad');
    }
  }
}

function end(text, kind = '') {
  run += 1;
  pictures.close();
  stage.classList.remove('running', 'showing', 'mirrored');
  find('boxes').getContext('2d').reset();
  if (measurement.last) {
    showNumbers();
  }
  say(text, kind);
  allowControls();
}

async function startCamera() {
  if (!navigator.mediaDevices) {
    say(advice.INSECURE, 'bad');
    return;
  }
  say(advice.STARTING);
  await begin(
      () => pictures.openCamera(
          find('cameras').value, () => end(advice.UNPLUGGED, 'bad')),
      advice.aboutCamera);
  await listCameras();
}

async function listCameras() {
  const found = await source.cameras();
  find('cameras').replaceChildren(...found.map(
      ({label, deviceId}) =>
          new Option(label, deviceId, false, deviceId === pictures.deviceId)));
  find('choose').hidden = found.length < 2;
}

async function openFile(file) {
  say(`Playing ${file.name}.`);
  await begin(() => pictures.openFile(file, () => {
    isEnding = true;
    if (!waiting) {
      end(advice.atTheEnd(measurement));
    }
  }), () => advice.aboutFile(file.name));
}

function save(text, type, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = `heart_rate.${ending}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// --- Controls ----------------------------------------------------------------

function addControls() {
  find('start').onclick = startCamera;
  find('stop').onclick = () => end(advice.atTheEnd(measurement));
  find('open').onclick = () => find('file').click();
  find('file').onchange = ({target}) => {
    const [file] = target.files;
    target.value = '';
    if (file) {
      openFile(file);
    }
  };
  find('cameras').onchange = () => {
    if (isRunning()) {
      end(advice.IDLE);
      startCamera();
    }
  };
  find('json').onclick = () =>
      save(measurement.toJson(), 'application/json', 'json');
  find('csv').onclick = () => save(measurement.toCsv(), 'text/csv', 'csv');
  document.ondragover = (event) => {
    event.preventDefault();
    stage.classList.add('dragging');
  };
  document.ondragleave = () => stage.classList.remove('dragging');
  document.ondrop = (event) => {
    event.preventDefault();
    stage.classList.remove('dragging');
    const [file] = event.dataTransfer.files;
    if (file && worker) {
      if (isRunning()) {
        end('');
      }
      openFile(file);
    }
  };
}

async function main() {
  if (!source.isSupported()) {
    say(advice.UNSUPPORTED, 'bad');
    return;
  }
  addControls();
  try {
    await startWorker();
  } catch (error) {
    say(advice.aboutFailure(error.message), 'bad');
    return;
  }
  const meter = find('confidence');
  meter.low = minConfidence;
  meter.high = minConfidence;
  meter.optimum = 1;
  find('needed').textContent =
      `A rate is shown from ${Math.round(100 * minConfidence)} % on.`;
  say(advice.IDLE);
  allowControls();
}

await main();
