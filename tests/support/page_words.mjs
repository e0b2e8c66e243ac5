// What the page says after some results of its worker:
// node page_words.mjs FOLDER_OF_PAGE < cases; JSON: [{minConfidence, results}].
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const load = (name) => import(pathToFileURL(`${process.argv[2]}/${name}`));
const advice = await load('advice.js');
const {Measurement} = await load('measurement.js');
const answers = JSON.parse(readFileSync(0)).map((results) => {
  const measurement = new Measurement('me.mp4', 0.9);
  results.forEach((result) => measurement.push(result));
  const {framesPerS, motion, pulse, estimates, intervals} = measurement;
  return {
    ...advice.about(measurement),
    end: advice.atTheEnd(measurement),
    framesPerS,
    motion,
    pulse,
    estimates,
    intervals,
    marks: measurement.beatMarks,
    json: JSON.parse(measurement.toJson()),
    csv: measurement.toCsv(),
  };
});
const camera = (name) => advice.aboutCamera({name, message: 'some words'});
const errors = Object.fromEntries(
    ['NotAllowedError', 'NotFoundError', 'OverconstrainedError',
     'NotReadableError', 'AbortError'].map((name) => [name, camera(name)]));
console.log(JSON.stringify({answers, errors}));
