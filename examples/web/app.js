// The page's router, notices, theme and language.
import { connection, onDemand } from './api.js';
import { announce, explain, find, h, setText, toast } from './dom.js';
import { asksForHelp } from './keys.js';
import { loadLimits } from './limits.js';
import { listAddress, view as listView } from './list.js';
import { loadModels } from './models.js';
import { arrive, leave, scrollToPlace } from './places.js';
import { account, currentUser, loadUser, signOut, updateLink } from './session.js';
import { songs, subscribe } from './songs.js';
import { addTexts, currentLanguage, preferredLanguage, recall, remember, setLanguage, t } from './text.js';
import { view as trashView } from './trash.js';
import { interrupted, zone } from './uploads.js';

const main = find('#main');
const hero = find('#view-list');
const uploads = zone();
// Views that are loaded when they are first shown.
const song = onDemand(() => import('./song.js'));
const shared = onDemand(() => import('./shared.js'));
const accountPage = onDemand(async () => (await Promise.all([import('./account.js'), addTexts('account')]))[0]);
const adminPage = onDemand(() => import('./admin.js'));
let view = null;
let inList = false;
// Counts the calls of `route`: a later one cancels those that still load.
let routes = 0;
// Where the list was left last: its address and scroll position.
let left = null;

hero.append(uploads.area);
main.append(uploads.section);
// On phones, the rules of uploads and the choice of language and theme come last.
const narrow = matchMedia('(max-width: 760px)');
function arrange() {
  (narrow.matches ? main : uploads.area).append(uploads.rules);
  if (narrow.matches) find('footer').append(find('#picks'));
  else find('#account-link').before(find('#picks'));
}
narrow.addEventListener('change', arrange);
arrange();

// Routes: #/ for the list, #/songs/ID, #/s/SECRET for a share link, #/trash, #/account, #/admin/SECTION.
function viewAt(address) {
  const [, name, id] = address.split('?')[0].split('/');
  if (name === 'songs' && /^[0-9a-f-]{36}$/.test(id ?? '')) return song().then((module) => module && (() => module.view(id)));
  if (name === 's' && id) return shared().then((module) => module && (() => module.view(id)));
  if (name === 'account') return accountPage().then((module) => module && (() => ({ element: module.view() })));
  if (name === 'admin') return adminPage().then((module) => module && (() => module.view(id)));
  return name === 'trash' ? () => trashView(listAddress()) : listView;
}

// Shows the view of the address. Returns whether it did: its module may not come, and the user may have gone on.
async function route(first = false) {
  const mine = (routes += 1);
  const found = viewAt(location.hash);
  const make = found instanceof Promise ? await found : found;
  if (!make || mine !== routes) return false;
  const before = view;
  before?.end?.();
  document.title = 'Vocalizer';
  inList = make === listView;
  view = make();
  hero.hidden = uploads.rules.hidden = !inList;
  delete document.documentElement.dataset.otherView;
  uploads.place(inList ? null : listAddress());
  // Keep the elements above the view, so that they do not lose focus.
  if (before) before.element.replaceWith(view.element);
  else uploads.section.after(view.element);
  if (first) return true;
  // Move focus so that screen readers announce the new view.
  (inList ? find('#main') : main.querySelector('h1[tabindex]'))?.focus({ preventScroll: true });
  return true;
}

// A link to the list that was left leads to the same place as Back.
async function navigate() {
  leave();
  const wasList = inList;
  if (wasList) left = { address: listAddress(), top: window.scrollY };
  const place = arrive();
  if (!await route()) return;
  const isSame = inList && !wasList && left?.address === listAddress();
  scrollToPlace(place ?? (isSame ? left.top : 0));
}

// Applies who is signed in, as the server has just said.
function showUser() {
  subscribe(currentUser()?.id ?? null);
  show();
}

function show() {
  updateLink();
  uploads.update();
  if (location.hash.startsWith('#/account')) route(true);
  else view?.show?.();
}

// Shows a notice above the content.
function notice(text, actions = []) {
  const place = find('#notice');
  place.replaceChildren(h('span', {}, text));
  const close = () => { place.hidden = true; };
  for (const [name, run] of [...actions, ['close', () => {}]]) place.append(h('button', { class: 'small', t: name, onclick: () => { close(); run(); } }));
  place.hidden = false;
}

connection.addEventListener('lost', () => {
  const place = find('#offline');
  setText(place, t('away'));
  place.hidden = false;
});
connection.addEventListener('back', () => {
  find('#offline').hidden = true;
  toast(t('back'));
  loadUser(true).then(showUser, () => {});
});
account.addEventListener('change', showUser);
// The server rejects uploads while the browser still sends the ended session's cookie; signing out clears it.
const ended = () => notice(t('session-ended'), [['log-in', () => { location.hash = '#/account'; }], ['go-on-without', () => signOut()]]);
account.addEventListener('ended', ended);
document.addEventListener('session-ended', () => {
  loadUser(true).catch(() => {});
  ended();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) loadUser(true).catch(() => {}); });
songs.addEventListener('user', () => loadUser(true).catch(() => {}));
songs.addEventListener('split', (/** @type {CustomEvent} */ { detail }) => announce(t('split-said', { title: detail.title })));
songs.addEventListener('failed', (/** @type {CustomEvent} */ { detail }) => announce(t('failed-said', { title: detail.title })));

// Language and theme.
const language = find('#language');
language.addEventListener('change', async () => {
  await setLanguage(language.value);
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

// A song will probably be opened: its page comes while the pointer is still on its way.
main.addEventListener('pointerover', ({ target }) => { if (/** @type {Element} */ (target).closest('.song')) import('./song.js').catch(() => {}); });

// The keyboard shortcut dialog, with a switch to turn shortcuts off.
find('#help').addEventListener('click', () => {
  const keys = ['space', 'arrows', 'home', 'loop', 'marks', 'markers', 'jump', 'zoom', 'speed', 'tap', 'karaoke', 'original', 'mute', 'solo', 'help'];
  const off = h('input', { type: 'checkbox', id: 'keys-on', checked: recall('keys') !== 'off', onchange: () => remember('keys', off.checked ? 'on' : 'off') });
  const dialog = h('dialog', { 'aria-labelledby': 'keys-heading', onclose: () => dialog.remove() }, h('h2', { id: 'keys-heading', t: 'shortcuts' }),
    h('dl', {}, keys.flatMap((key) => [h('dt', { t: `key-${key}` }), h('dd', { t: `key-${key}-does` })])),
    h('label', { class: 'option' }, off, h('span', { t: 'keys-on' })), h('p', {}, h('button', { class: 'primary', t: 'close', onclick: () => dialog.close() })));
  document.body.append(dialog);
  dialog.showModal();
});

document.addEventListener('keydown', (event) => { if (asksForHelp(event)) find('#help').click(); });

// Following the link's hash would trigger the router.
find('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

window.addEventListener('hashchange', navigate);
window.addEventListener('unhandledrejection', (event) => console.error(event.reason));

await setLanguage(preferredLanguage());
language.value = currentLanguage();
uploads.update();
updateLink();
route(true);
scrollToPlace(arrive() ?? 0);
subscribe();
const cut = interrupted();
if (cut.length) notice(t('cut-off', { names: cut.join(', ') }));
loadModels().catch(() => { /* then there is no choice */ });
Promise.all([loadUser().then(showUser), loadLimits()]).then(show, (error) => { if (!error.unreachable) toast(explain(error), { bad: true }); });
connection.addEventListener('back', () => loadLimits().then(uploads.update, () => {}));
