"""rppg-web hands out the page's files, rightly labelled, to this machine."""

import http.client
import re

import pytest

from rppg_tf import page_server
from rppg_tf.errors import InputError
from tests.support import browser, commands

_POLICY = "default-src 'none'; script-src 'self'"


@pytest.fixture
def folder(tmp_path):
  page = tmp_path / 'page'
  page.mkdir()
  (page / 'index.html').write_text(
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
  )
  for name in ('app.js', 'style.css', 'rppg.wasm', 'icon.svg', 'LICENSE'):
    (page / name).write_text(name)
  (page / 'empty').mkdir()
  (tmp_path / 'secret.txt').write_text('secret')
  return page


def _ask(address: str, path: str, method: str = 'GET'):
  connection = http.client.HTTPConnection(
    re.fullmatch('http://(.*)/', address)[1], timeout=10
  )
  connection.request(method, path)
  answer = connection.getresponse()
  return answer, answer.read()


@pytest.mark.parametrize(
  ('name', 'kind'),
  [
    ('', 'text/html; charset=utf-8'),
    ('app.js', 'text/javascript; charset=utf-8'),
    ('style.css', 'text/css; charset=utf-8'),
    ('rppg.wasm', 'application/wasm'),
    ('icon.svg', 'image/svg+xml'),
    ('LICENSE', 'text/plain; charset=utf-8'),
  ],
)
def test_files_have_their_types_and_the_pages_policy(folder, name, kind):
  with browser.served(folder) as address:
    answer, content = _ask(address, f'/{name}')
  assert answer.status == 200
  assert content == (folder / (name or 'index.html')).read_bytes()
  assert answer.headers['Content-Type'] == kind
  assert answer.headers['X-Content-Type-Options'] == 'nosniff'
  policy = answer.headers['Content-Security-Policy']
  assert policy == f"{_POLICY}; frame-ancestors 'none'"


@pytest.mark.parametrize(
  ('method', 'path', 'status'),
  [
    ('GET', '/nothing', 404),
    ('GET', '/empty/', 404),
    ('GET', '/../secret.txt', 404),
    ('GET', '/%2e%2e/secret.txt', 404),
    ('POST', '/app.js', 501),
    ('PUT', '/app.js', 501),
  ],
)
def test_it_hands_out_nothing_else(folder, method, path, status):
  with browser.served(folder) as address:
    answer, content = _ask(address, path, method)
  assert answer.status == status
  assert b'secret' not in content


def test_only_this_machine_can_reach_it(folder):
  with page_server.make_server(folder, 0) as serving:
    assert serving.server_address[0] == '127.0.0.1'


def test_a_taken_port_is_told(folder):
  with page_server.make_server(folder, 0) as serving:
    port = serving.server_address[1]
    with pytest.raises(InputError, match=f'port {port}: .* another by --port'):
      page_server.make_server(folder, port)


@pytest.mark.slow
def test_the_command_tells_that_the_page_is_missing(tmp_path):
  done = commands.run_fresh(
    'rppg_tf.web', f'--folder={tmp_path}', '--nobrowser'
  )
  commands.assert_refused(done, 'index.html: not there; run `make web`')
