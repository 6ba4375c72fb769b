// The page: what is shown for which address, and what holds for all of it.
import { account, leave, look, mark, view as accountView } from './account.js';
import { connection } from './api.js';
import { explain, find, h, say, setText, toast } from './dom.js';
import { learn } from './limits.js';
import { view as listView } from './list.js';
import { view as songView } from './song.js';
import { follow, songs } from './songs.js';
import { preferred, recall, remember, speak, speaks, t } from './text.js';
import { cutOff, zone } from './uploads.js';

const main = find('#main');
const hero = find('#view-list');
const uploads = zone();
hero.append(uploads.element);
let view = null;

// Addresses: #/ for the list, #/songs/ID, #/account.
function route(first = false) {
  const before = view;
  before?.end?.();
  const [, name, id] = location.hash.split('/');
  document.title = 'Vocalizer';
  const isSong = name === 'songs' && /^[0-9a-f-]{36}$/.test(id ?? '');
  const isList = !isSong && name !== 'account';
  if (isSong) view = songView(id);
  else view = isList ? listView() : { element: accountView() };
  hero.hidden = !isList;
  // What stands above stays as it is, with whoever is in it.
  if (before) before.element.replaceWith(view.element);
  else main.append(view.element);
  if (first) return;
  window.scrollTo(0, 0);
  // Whoever hears the page is told that it is another.
  (isList ? find('#main') : main.querySelector('h1[tabindex]'))?.focus({ preventScroll: true });
}

function show() {
  mark();
  uploads.update();
  if (location.hash.startsWith('#/account')) route(true);
  else view?.show();
}

// Notices above everything.
function notice(text, actions = []) {
  const place = find('#notice');
  place.replaceChildren(h('span', {}, text));
  const close = () => { place.hidden = true; };
  for (const [name, run] of [...actions, ['close', () => {}]]) place.append(h('button', { class: 'small', t: name, onclick: () => { close(); run(); } }));
  place.hidden = false;
}

connection.addEventListener('lost', () => {
  const place = find('#away');
  setText(place, t('away'));
  place.hidden = false;
});
connection.addEventListener('back', () => {
  find('#away').hidden = true;
  toast(t('back'));
  look(true).catch(() => {});
});
account.addEventListener('change', () => {
  show();
  follow();
});
// As long as the browser shows a session that has ended, the server takes no song from it; logging out ends that.
const ended = () => notice(t('session-ended'), [['log-in', () => { location.hash = '#/account'; }], ['go-on-without', () => leave()]]);
account.addEventListener('ended', ended);
document.addEventListener('session-ended', () => {
  look(true).catch(() => {});
  ended();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(true).catch(() => {}); });
songs.addEventListener('cut', () => look(true).catch(() => {}));
songs.addEventListener('split', ({ detail }) => say(t('split-said', { title: detail.title })));
songs.addEventListener('failed', ({ detail }) => say(t('failed-said', { title: detail.title })));

// Language and colours.
const language = find('#language');
language.addEventListener('change', async () => {
  await speak(language.value);
  remember('language', language.value);
  show();
});
const theme = find('#theme');
theme.value = recall('theme') ?? '';
theme.addEventListener('change', () => {
  remember('theme', theme.value);
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
  document.dispatchEvent(new Event('colours'));
});

// Which keys there are, and a way to have none of them.
find('#help').addEventListener('click', () => {
  const keys = ['space', 'arrows', 'home', 'loop', 'marks', 'karaoke', 'original', 'mute', 'solo'];
  const off = h('input', { type: 'checkbox', id: 'keys-on', checked: recall('keys') !== 'off', onchange: () => remember('keys', off.checked ? 'on' : 'off') });
  const dialog = h('dialog', { 'aria-labelledby': 'keys-heading', onclose: () => dialog.remove() }, h('h2', { id: 'keys-heading', t: 'shortcuts' }),
    h('dl', {}, keys.flatMap((key) => [h('dt', { t: `key-${key}` }), h('dd', { t: `key-${key}-does` })])),
    h('label', { class: 'option' }, off, h('span', { t: 'keys-on' })), h('p', {}, h('button', { class: 'primary', t: 'close', onclick: () => dialog.close() })));
  document.body.append(dialog);
  dialog.showModal();
});

// Its address would be another view's.
find('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

window.addEventListener('hashchange', () => route());
window.addEventListener('unhandledrejection', (event) => console.error(event.reason));

await speak(preferred());
language.value = speaks();
uploads.update();
route(true);
follow();
const cut = cutOff();
if (cut.length) notice(t('cut-off', { names: cut.join(', ') }));
Promise.all([look(), learn()]).then(show, (error) => { if (!error.away) toast(explain(error), { bad: true }); });
connection.addEventListener('back', () => learn().then(uploads.update, () => {}));
