// What administrators do: users, the queue, storage and the audit log. Loaded when it is opened.
import { ask } from './api.js';
import { confirmed, copyText, explain, h, setText, toast } from './dom.js';
import { limits } from './limits.js';
import { currentUser, isUserKnown } from './session.js';
import { addTexts, date, number, size, t } from './text.js';

await addTexts('admin');

const SECTIONS = { users, queue, storage, audit };
const LIMITS = ['max_songs', 'max_bytes', 'max_audio_minutes_per_day', 'max_uploads_per_minute'];
const MOST = 1000;

// `show` fills it again, in another language or for another user.
export function view(name) {
  const element = h('section', {}, h('h1', { tabindex: -1, t: 'admin' }));
  const section = name in SECTIONS ? name : 'users';
  const show = () => {
    const heading = element.querySelector('h1');
    if (!isUserKnown()) return;
    if (!currentUser()?.administrator) {
      element.replaceChildren(heading, h('p', { class: 'lead', id: 'admin-only', t: 'admin-only' }));
      return;
    }
    const links = Object.keys(SECTIONS).map((each) => h('a', { class: 'button', href: `#/admin/${each}`, 'aria-current': each === section && 'page', t: `admin-${each}` }));
    const place = h('div', { id: `admin-${section}-view` });
    element.replaceChildren(heading, h('nav', { class: 'tabs', label: 'admin' }, links), place);
    SECTIONS[section](place);
  };
  show();
  return { element, show };
}

// Runs a request. A failure is a toast, and gives null.
async function tried(work) {
  try {
    return await work();
  } catch (error) {
    toast(explain(error), { bad: true });
    return null;
  }
}

// A button about a thing, whose name screen readers hear.
function named(act, key, name, run, options = {}) {
  const button = h('button', { class: 'small', t: key, onclick: run, ...options });
  button.setAttribute('aria-label', t('admin-named', { what: t(key), name }));
  button.dataset.act = act;
  return button;
}

const line = (...parts) => h('span', { class: 'dim', dir: 'auto' }, parts.filter(Boolean).join(' · '));
const said = (key, n) => t(key, { n });

function users(place) {
  const search = h('input', { type: 'search', id: 'user-search', label: 'admin-search', hint: 'admin-search', maxlength: 64, autocomplete: 'off', spellcheck: 'false' });
  const list = h('ul', { class: 'card tokens', id: 'users' });
  const none = h('p', { class: 'dim', id: 'users-none', role: 'status' });
  const more = h('button', { id: 'users-more', t: 'admin-more', onclick: () => load(true), hidden: true });
  let next = null;
  let asked = 0;

  async function load(isMore = false) {
    const turn = asked += 1;
    const query = new URLSearchParams({ search: search.value.trim(), limit: '50' });
    if (isMore) query.set('after', next);
    const data = await tried(() => ask('GET', `admin/users?${query}`));
    // What was typed meanwhile counts.
    if (!data || turn !== asked) return;
    const rows = data.users.map(row);
    if (isMore) list.append(...rows);
    else list.replaceChildren(...rows);
    next = data.next;
    more.hidden = !next;
    list.hidden = !list.children.length;
    setText(none, list.children.length ? '' : t('admin-no-users'));
    if (isMore) rows[0]?.querySelector('button')?.focus();
  }

  let waiting = 0;
  search.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(load, 250);
  });
  place.append(h('h2', { t: 'admin-users' }), h('p', {}, search), none, list, h('p', {}, more));
  load();
}

function row(user) {
  const entry = h('li', { class: 'entry', 'data-id': user.id });
  const { id, username: name } = user;
  const secret = h('div', { class: 'secret', role: 'status' });

  // Shows the user as it is after a change, with the focus on the same action.
  async function change(act, work) {
    const data = await tried(work);
    if (!data) return;
    draw(data.user);
    entry.querySelector(`[data-act=${act}]`)?.focus();
  }

  function draw(now) {
    const state = [now.administrator && t('admin-is'), now.connected && t('admin-connected'), now.disabled_at && t('admin-disabled', { when: date(now.disabled_at) })];
    const has = [said('admin-songs', now.songs), size(now.bytes), said('admin-sessions', now.sessions), said('admin-tokens', now.tokens), t('admin-since', { when: date(now.registered_at) })];
    const own = LIMITS.filter((limit) => limit in now.quota).map((limit) => t(`admin-${limit}`, { most: shown(limit, now.quota[limit]) }));
    const form = quotaForm(now, (fields) => change('quota', () => ask('PUT', `admin/users/${id}/quota`, fields)));
    const quota = named('quota', 'admin-limits', name, () => {
      form.hidden = !form.hidden;
      quota.setAttribute('aria-expanded', String(!form.hidden));
      if (!form.hidden) form.querySelector('input').focus();
    }, { 'aria-expanded': 'false' });
    const toggle = now.disabled_at
      ? named('toggle', 'admin-enable', name, () => change('toggle', () => ask('POST', `admin/users/${id}/enable`)))
      : named('toggle', 'admin-disable', name, async () => {
        if (await confirmed(t('admin-disable-asked', { name }), t('admin-disable'))) await change('toggle', () => ask('POST', `admin/users/${id}/disable`));
      }, { class: 'small danger' });
    const password = named('password', 'admin-password', name, async () => {
      if (!await confirmed(t('admin-password-asked', { name }), t('admin-password'))) return;
      const data = await tried(() => ask('POST', `admin/users/${id}/password`, {}));
      if (data) reveal(data.password);
    });
    const disconnect = named('disconnect', 'admin-disconnect', name, async () => {
      if (await confirmed(t('admin-disconnect-asked', { name }), t('admin-disconnect'))) await change('quota', () => ask('POST', `admin/users/${id}/disconnect`));
    });
    entry.replaceChildren(h('span', { dir: 'auto', class: 'user-name' }, name), line(...state), line(...has), own.length ? line(...own) : '',
      // The server refuses these for administrators.
      h('div', { class: 'actions' }, quota, !now.administrator && now.connected && disconnect, !now.administrator && password, !now.administrator && toggle), form, secret);
    if (!state.some(Boolean)) entry.children[1].remove();
  }

  function reveal(password) {
    const field = h('input', { readonly: true, value: password, label: 'admin-new-password', class: 'mono', id: `password-${id}` });
    secret.replaceChildren(h('p', { dir: 'auto' }, t('admin-password-made', { name })), h('div', { class: 'row' }, field, h('button', { t: 'copy', onclick: () => copyText(field) })));
    field.select();
  }

  draw(user);
  return entry;
}

const shown = (limit, most) => (most === null ? t('admin-no-limit') : limit === 'max_bytes' ? size(most) : number(most));

// Own limits of a user: each is a number, no limit, or empty for the limit of all users.
function quotaForm({ id, quota }, save) {
  const everyone = limits()?.user_quota ?? {};
  const fields = LIMITS.map((limit) => {
    const own = quota[limit];
    const input = h('input', { type: 'number', min: limit === 'max_uploads_per_minute' ? 1 : 0, step: 1, id: `${limit}-${id}`, value: own ?? '', placeholder: shown(limit, everyone[limit] ?? null), disabled: own === null });
    const free = h('input', { type: 'checkbox', checked: own === null, onchange: () => { input.disabled = free.checked; } });
    return { limit, input, free, element: h('div', { class: 'field' }, h('label', { for: input.id, t: `admin-field-${limit}` }), input, h('label', { class: 'option' }, free, h('span', { t: 'admin-no-limit' }))) };
  });
  const send = (event) => {
    event.preventDefault();
    if (event.target.reportValidity()) save(Object.fromEntries(fields.map(({ limit, input, free }) => [limit, free.checked ? 'none' : input.value])));
  };
  return h('form', { class: 'quota', hidden: true, onsubmit: send }, h('p', { class: 'hint', t: 'admin-limits-hint' }), h('div', { class: 'columns' }, fields.map(({ element }) => element)),
    h('button', { class: 'primary', type: 'submit', t: 'save' }));
}

// How many songs have each value of a property.
function tally(songs, of) {
  const counts = new Map();
  for (const song of songs) counts.set(of(song), (counts.get(of(song)) ?? 0) + 1);
  return [...counts].map(([name, n]) => `${name} (${number(n)})`).join(', ');
}

function queue(place) {
  const state = h('p', { id: 'queue-state', role: 'status' });
  const hold = h('button', { id: 'hold' });
  const groups = h('div');
  let held = false;

  const owner = (song) => song.uploader ?? t('admin-anonymous');
  const model = (song) => song.model ?? t('admin-default-model');
  const group = (id, key, songs, actions) => (songs.length ? [h('h3', { t: key }), h('p', { class: 'dim', dir: 'auto' }, t('admin-tally', { models: tally(songs, model), users: tally(songs, owner) })),
    h('ul', { class: 'card tokens', id }, songs.map((song) => h('li', { class: 'entry', 'data-id': song.id }, h('span', { dir: 'auto' }, song.title),
      line(song.state && t(`admin-job-${song.state}`, {}, song.state), owner(song), model(song), date(song.uploaded_at)), song.failure ? h('span', { class: 'why', dir: 'auto' }, song.failure) : '', h('div', { class: 'actions' }, actions(song)))))] : []);
  const requeue = (song) => named('requeue', 'admin-requeue', song.title, async () => {
    if (await tried(() => ask('POST', `admin/songs/${song.id}/requeue`))) toast(t('admin-requeued', { title: song.title }));
    await load();
  });
  const remove = (song) => named('delete', 'delete', song.title, async () => {
    if (!await confirmed(t('delete-for-good', { title: song.title }), t('delete-now'))) return;
    await tried(() => ask('DELETE', `admin/songs/${song.id}`));
    await load();
  }, { class: 'small danger' });

  async function load() {
    const focus = place.contains(document.activeElement);
    const data = await tried(async () => ({ ...await ask('GET', 'admin/jobs?limit=200'), failed: (await ask('GET', 'admin/songs?status=FAILED&limit=50')).songs }));
    if (!data) return;
    ({ held } = data);
    setText(state, [t(held ? 'admin-held' : 'admin-running'), said('admin-unfinished', data.unfinished)].join(' '));
    setText(hold, t(held ? 'admin-resume' : 'admin-drain'));
    const isWaiting = ({ status }) => status === 'UPLOADED';
    const waiting = data.jobs.filter(isWaiting);
    const running = data.jobs.filter((song) => !isWaiting(song));
    groups.replaceChildren(...group('running', 'admin-running-songs', running, (song) => [remove(song)]), ...group('waiting', 'admin-waiting-songs', waiting, (song) => [requeue(song), remove(song)]),
      ...group('failed', 'admin-failed-songs', data.failed, (song) => [requeue(song), remove(song)]));
    if (!groups.children.length) groups.append(h('p', { class: 'dim', id: 'queue-empty', t: 'admin-queue-empty' }));
    if (focus && !place.contains(document.activeElement)) heading.focus();
  }
  hold.addEventListener('click', async () => {
    if (!held && !await confirmed(t('admin-drain-asked'), t('admin-drain'))) return;
    await tried(() => ask('POST', held ? 'admin/jobs/resume' : 'admin/jobs/drain'));
    await load();
  });
  const heading = h('h2', { tabindex: -1, t: 'admin-queue' });
  place.append(heading, state, h('p', { class: 'tools' }, hold, h('button', { id: 'refresh', t: 'admin-refresh', onclick: load })), groups);
  load();
}

function storage(place) {
  const list = h('dl', { class: 'card', id: 'admin-storage' });
  const entry = (name, value) => [h('dt', {}, name), h('dd', {}, value)];

  async function load() {
    const data = await tried(() => ask('GET', 'admin/storage'));
    if (!data) return;
    const files = ({ files: n, bytes }) => `${said('admin-files', n)}, ${size(bytes)}`;
    list.replaceChildren(...Object.entries(data.songs).filter(([, n]) => n).flatMap(([status, n]) => entry(t(`admin-status-${status}`, {}, status), said('admin-songs', n))),
      ...Object.entries(data.files).flatMap(([kind, stored]) => entry(t(`admin-files-${kind}`, {}, kind), files(stored))),
      ...entry(t('admin-orphans'), number(data.orphans)),
      ...data.space ? entry(t('admin-space'), t('admin-space-of', { free: size(data.space.free_bytes), total: size(data.space.total_bytes) })) : []);
    list.hidden = false;
  }
  list.hidden = true;
  place.append(h('h2', { t: 'admin-storage' }), list, h('p', {}, h('button', { id: 'refresh', t: 'admin-refresh', onclick: load })), h('p', { class: 'hint', t: 'admin-storage-hint' }));
  load();
}

function audit(place) {
  const list = h('ul', { class: 'card tokens', id: 'audit' });
  const more = h('button', { id: 'audit-more', t: 'admin-more', onclick: () => load(MOST), hidden: true });

  async function load(limit) {
    const data = await tried(() => ask('GET', `admin/audit?limit=${limit}`));
    if (!data) return;
    list.replaceChildren(...data.entries.map(({ at, actor, action, subject, address, details }) => h('li', { class: 'entry', 'data-action': action },
      h('span', { dir: 'auto' }, [t(`audit-${action}`, {}, action), subject].filter(Boolean).join(': ')), line(date(at), actor, address, details))));
    more.hidden = limit >= MOST || data.entries.length < limit;
  }
  place.append(h('h2', { t: 'admin-audit' }), list, h('p', {}, more), h('p', { class: 'hint', t: 'admin-audit-hint' }));
  load(100);
}
