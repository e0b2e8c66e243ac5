"""The page in a real browser: what it reads, and what it says is wrong."""

import csv
import json

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support import browser, web_videos
from tools.firmware_runner import stream

# Timed: a camera runs at its own pace, whatever else the machine does.
pytestmark = pytest.mark.bench

_MAX_PAGE_BYTES = 600_000
_SHORT_S = 3


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """The page, built."""
  browser.browser_paths()
  folder = tmp_path_factory.mktemp('web') / 'page'
  stream.check_made(stream.make('web', f'WEB={folder}'))
  return folder


@pytest.fixture(scope='module')
def address(folder):
  with browser.served(folder) as address:
    yield address


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
  return web_videos.render(tmp_path_factory.mktemp('rendered'), 15)


def test_the_page_is_small_and_brings_its_licences(folder):
  files = list(folder.iterdir())
  assert sum(path.stat().st_size for path in files) <= _MAX_PAGE_BYTES
  assert 'haarcascade' in (folder / 'NOTICE').read_text()
  assert 'Leon Sorokin' in (folder / 'uPlot.LICENSE').read_text()


# --- What it reads -----------------------------------------------------------


def _assert_saved(folder, bpm: float):
  """The saved files hold the rate that was shown."""
  saved = json.loads((folder / 'heart_rate.json').read_text())
  assert saved['backend'] == 'wasm'
  assert saved['face_found_share'] > 0.9
  rates = [one['bpm'] for one in saved['estimates'] if one['bpm'] is not None]
  assert len(saved['beats']) >= 5
  assert rates and saved['median_bpm'] == pytest.approx(bpm, abs=2)
  with open(folder / 'heart_rate.csv') as file:
    rows = list(csv.DictReader(file))
  assert [float(row['bpm']) for row in rows if row['bpm']] == rates


def test_a_camera_of_72_bpm_reads_72(address, frames, tmp_path):
  camera = web_videos.write_camera(tmp_path / 'face.y4m', frames)
  with browser.opened(address, camera=camera, downloads=tmp_path) as page:
    assert page.problems() == []
    asked = page.requests()
    assert asked and all(url.startswith(address) for url in asked)
    page.find('start').click()
    page.wait_for_advice('Hold still')
    page.wait_for_advice('The pulse is clear', 60)
    assert float(page.text('bpm')) == pytest.approx(web_videos.RATE_BPM, abs=2)
    assert 'box around the face' in page.find('boxes').get_attribute(
      'aria-label'
    )
    page.find('stop').click()
    assert 'Median heart rate: 7' in page.text('advice')
    for kind in ('json', 'csv'):
      page.find(kind).click()
    page.wait(
      lambda: len(list(tmp_path.glob('heart_rate.*'))) == 2, 10, 'saved'
    )
    _assert_saved(tmp_path, web_videos.RATE_BPM)
    assert page.problems() == []
    assert page.requests() == []


def test_a_dropped_file_is_played_to_its_end(address, frames, tmp_path):
  path = web_videos.write_file(
    tmp_path / 'short.mp4', frames[: web_videos.FRAMES_PER_S * _SHORT_S]
  )
  with browser.opened(address) as page:
    page.requests()
    page.drop_file(path)
    page.wait_for_advice('Hold still until five beats are seen')
    advice = page.wait_for_advice('Ended')
    assert 'without a heart rate' in advice
    assert page.text('facts').startswith('640')
    # Another one after it.
    page.open_file(path)
    page.wait_for_advice('Hold still until five beats are seen')
    page.find('stop').click()
    page.wait_for_advice('Ended')
    assert page.problems() == []
    assert page.requests() == []


# --- What it says ------------------------------------------------------------


def test_a_refused_camera(address):
  with browser.opened(address, allowed=False) as page:
    page.find('start').click()
    page.wait_for_advice('The camera was refused')
    assert page.find('start').is_enabled()


def test_no_camera(address):
  with browser.opened(address, has_camera=False) as page:
    page.find('start').click()
    page.wait_for_advice('There is no camera')
    assert page.find('open').is_enabled()


def test_a_scene_without_a_face(address):
  with browser.opened(address) as page:  # the browser's own test picture
    page.find('start').click()
    page.wait_for_advice('No face in view')
    assert not page.text('bpm').isdigit()
    assert page.problems() == []


def test_a_dark_scene(address, tmp_path):
  camera = web_videos.write_camera(
    tmp_path / 'dark.y4m', web_videos.flat_frames(10)
  )
  with browser.opened(address, camera=camera) as page:
    page.find('start').click()
    page.wait_for_advice('It is too dark')


def test_a_file_that_is_no_video(address, tmp_path):
  path = tmp_path / 'notes.mp4'
  path.write_text('no video')
  with browser.opened(address) as page:
    page.drop_file(path)
    page.wait_for_advice('notes.mp4 cannot be played')


_ASK = """
const [address, done] = arguments;
fetch(address).then(() => done('sent'), () => done('blocked'));
"""
_ASK_IN_WORKER = """
const [address, done] = arguments;
const code = `fetch(${JSON.stringify(address)}, {mode: 'no-cors'}).then(
  () => postMessage('sent'), () => postMessage('blocked'));`;
const url = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}));
new Worker(url, {type: 'module'}).onmessage = ({data}) => done(data);
"""


@pytest.mark.parametrize(
  'script', [_ASK, _ASK_IN_WORKER], ids=['page', 'worker']
)
def test_nothing_can_be_sent_elsewhere(address, folder, script):
  with browser.served(folder) as other, browser.opened(address) as page:
    assert page.driver.execute_async_script(script, other) == 'blocked'
    assert 'Content Security Policy' in ' '.join(page.problems())


def test_it_is_worked_by_keys_and_read_aloud(address):
  with browser.opened(address) as page:
    body = page.driver.find_element('tag name', 'body')
    body.send_keys(Keys.TAB)
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute('id') == 'start'
    focused.send_keys(Keys.ENTER)
    page.wait_for_advice('No face in view')
    assert page.find('advice').get_attribute('role') == 'status'
    for name in ('boxes', 'pulse', 'trend'):
      assert page.find(name).get_attribute('aria-label')


def test_it_fits_a_phone(address):
  with browser.opened(address) as page:
    page.set_screen(360, 740)
    script = 'return document.documentElement.scrollWidth;'
    page.wait(lambda: page.driver.execute_script(script) <= 360, 5, 'narrow')
    page.find('start').click()
    page.wait_for_advice('No face in view')
    assert page.driver.execute_script(script) <= 360


# --- Slow --------------------------------------------------------------------


@pytest.mark.bench
def test_a_photo_has_no_pulse(address, frames, tmp_path):
  camera = web_videos.write_camera(tmp_path / 'photo.y4m', frames[:1] * 2)
  with browser.opened(address, camera=camera) as page:
    page.find('start').click()
    advice = page.wait_for_advice('No clear pulse', 40)
    assert 'a photo has none' in advice
    assert not page.text('bpm').isdigit()


@pytest.mark.bench
def test_a_dropped_file_of_72_bpm_reads_72(address, frames, tmp_path):
  path = web_videos.write_file(tmp_path / 'face.mp4', frames)
  with browser.opened(address) as page:
    page.drop_file(path)
    page.wait_for_advice('Ended', 60)
    advice = page.text('advice')
    assert 'Median heart rate: 7' in advice, advice


@pytest.mark.bench
def test_speed(address, frames, tmp_path):
  path = web_videos.write_file(tmp_path / 'fast.mp4', frames * 2, 60)
  with browser.opened(address) as page:
    paint_ms = page.driver.execute_script(
      'return performance.getEntriesByName("first-contentful-paint")[0]'
      '.startTime;'
    )
    page.drop_file(path)
    page.wait_for_advice('The pulse is clear', 40)
    facts = page.text('facts')
    print(f'first paint after {paint_ms:.0f} ms; 60 frames/s file: {facts}')
    assert paint_ms < 1000
    assert float(facts.split(' ms a frame')[0].split()[-1]) < 1000 / 60
