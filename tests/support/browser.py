"""The page of `make web` in headless Chromium, with a file as its camera."""

import contextlib
import json
import pathlib
import shutil
import threading

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from rppg_tf import page_server
from tools.firmware_runner import stream

PAGE = stream.ROOT / 'build/web'
_FLAGS = (
  '--headless=new',
  '--no-sandbox',  # which root has not
  '--disable-dev-shm-usage',
  '--use-fake-device-for-media-stream',
)
# Chromium's own doings would be counted as the page's.
_QUIET = (
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
)


def browser_paths() -> tuple[str, str]:
  """Chromium's and its driver's; the test skips without them."""
  found = [
    next(filter(None, map(shutil.which, names)), None)
    for names in (('chromium', 'google-chrome'), ('chromedriver',))
  ]
  if None in found:
    pytest.skip('no Chromium with its driver: apt-packages-browser.txt')
  return found[0], found[1]


@contextlib.contextmanager
def served(folder: pathlib.Path = PAGE):
  """Serves the page; gives its address."""
  with page_server.make_server(folder, 0) as serving:
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{serving.server_address[1]}/'
    serving.shutdown()
    thread.join()


class Page:
  """One browser with the page in it.

  Attributes:
    driver: selenium's.
  """

  def __init__(self, driver):
    self.driver = driver

  def find(self, name: str):
    """Returns the element of an id."""
    return self.driver.find_element(By.ID, name)

  def text(self, name: str) -> str:
    """Returns what an element shows."""
    return self.find(name).text

  def wait_for_advice(self, part: str, timeout_s: float = 30) -> str:
    """Waits until the advice holds a text; returns all of it."""
    self.wait(lambda: part in self.text('advice'), timeout_s, part)
    return self.text('advice')

  def wait(self, is_so, timeout_s: float, what: str) -> None:
    """Waits until something is so, or says what the page shows instead."""
    try:
      WebDriverWait(self.driver, timeout_s, 0.1).until(lambda _: is_so())
    except Exception as error:
      shown = self.text('advice'), self.text('facts'), self.problems()
      raise AssertionError(f'not {what!r} but {shown}') from error

  def open_file(self, path: pathlib.Path) -> None:
    """Opens a video as the button does."""
    self.find('file').send_keys(str(path))

  def drop_file(self, path: pathlib.Path) -> None:
    """Drops a video on the page."""
    self.driver.execute_script(
      "const input = document.createElement('input');"
      "input.type = 'file'; input.id = 'dropped'; document.body.append(input);"
    )
    self.find('dropped').send_keys(str(path))
    self.driver.execute_script(
      'const dataTransfer = new DataTransfer();'
      "const input = document.getElementById('dropped');"
      'dataTransfer.items.add(input.files[0]); input.remove();'
      "document.dispatchEvent(new DragEvent('drop',"
      '{dataTransfer, cancelable: true}));'
    )

  def set_screen(self, width_px: int, height_px: int) -> None:
    """Makes the screen as small as a phone's."""
    self.driver.execute_cdp_cmd(
      'Emulation.setDeviceMetricsOverride',
      {
        'width': width_px,
        'height': height_px,
        'deviceScaleFactor': 2,
        'mobile': True,
      },
    )

  def problems(self) -> list[str]:
    """Returns what is on the console since the last call, but for notes."""
    entries = self.driver.get_log('browser')
    return [entry['message'] for entry in entries if entry['level'] != 'INFO']

  def requests(self) -> list[str]:
    """Returns addresses that were asked for over the network since then."""
    messages = [
      json.loads(entry['message'])['message']
      for entry in self.driver.get_log('performance')
    ]
    addresses = [
      message['params']['request']['url']
      for message in messages
      if message['method'] == 'Network.requestWillBeSent'
    ]
    return [url for url in addresses if not url.startswith(('blob:', 'data:'))]


@contextlib.contextmanager
def opened(
  address: str,
  camera: pathlib.Path | None = None,
  allowed: bool = True,
  has_camera: bool = True,
  downloads: pathlib.Path | None = None,
):
  """Opens the page; gives a Page that is ready.

  Args:
    address: of the page.
    camera: a .y4m file that the camera plays in a loop.
    allowed: whether the user lets the page use it.
    has_camera: whether there is one.
    downloads: where what is saved goes.
  """
  options = webdriver.ChromeOptions()
  options.binary_location, driver_path = browser_paths()
  flags = [*_FLAGS, *_QUIET, '--window-size=1280,900']
  if camera is not None:
    flags.append(f'--use-file-for-fake-video-capture={camera}')
  if allowed:
    flags.append('--use-fake-ui-for-media-stream')
  if not has_camera:
    flags.remove('--use-fake-device-for-media-stream')
  for flag in flags:
    options.add_argument(flag)
  options.add_experimental_option(
    'prefs',
    {
      'profile.default_content_setting_values.media_stream_camera': (
        1 if allowed else 2
      ),
      'download.default_directory': str(downloads or '/nowhere'),
    },
  )
  options.set_capability(
    'goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'}
  )
  service = webdriver.ChromeService(driver_path)
  driver = webdriver.Chrome(options=options, service=service)
  try:
    driver.get(address)
    page = Page(driver)
    page.wait_for_advice('Start the camera')
    yield page
  finally:
    driver.quit()
