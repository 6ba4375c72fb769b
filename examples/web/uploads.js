// Uploads, which continue in every view.
import { ask, connectionLost, parseError, untilReachable } from './api.js';
import { explain, find, h, icon, setText, toast } from './dom.js';
import { dropped, SUFFIXES } from './dropped.js';
import { limits } from './limits.js';
import { modelChoice, models, uploadFields } from './models.js';
import { currentUser, isUserKnown } from './session.js';
import { putAndRefresh } from './songs.js';
import { hours, percent, size, t, translateElement } from './text.js';

// Concurrent uploads; more would only slow each other down.
const AT_ONCE = 2;
// Automatic retries after connection failures.
const TRIES = 3;
const KEPT = 'vocalizer-uploads';
// Larger files are uploaded in parts.
const IN_PARTS_BYTES = 8 * 1024 * 1024;
const resumable = () => import('./resumable.js');

/** @type {any[]} */
const uploads = [];
const list = h('ul', { class: 'uploads' });
const heading = h('h2');
const total = h('progress', { max: 1, value: 0, label: 'upload-progress' });
const dismissAll = h('button', { class: 'small', id: 'dismiss-all', t: 'dismiss-all', onclick: () => failed().forEach(remove) });
const details = h('a', { class: 'button small', id: 'upload-details', t: 'upload-details' });
// In other views than the list, the section is one line.
const section = h('section', { id: 'uploads', 'aria-live': 'off', hidden: true }, h('div', { class: 'uploads-head' }, heading, total, dismissAll, details), list);

// Whether a browser's MIME type may be audio; browsers report an empty type for some formats.
const isSong = (type) => !type || /^(audio|video)\/|^application\/(ogg|octet-stream|x-flac|mp4)$/.test(type);

// Derives a title from the file name, without control and bidirectional formatting characters.
function titleFrom(name) {
  const bare = name.replace(/\.[^.]{1,5}$/, '').replace(/[\s_\p{Cc}\u2028-\u202e\u2066-\u2069]+/gu, ' ').trim() || name;
  return [...bare].slice(0, limits()?.max_title_chars ?? 200).join('');
}

export function add(files) {
  for (const file of files) {
    const upload = { file, title: titleFrom(file.name), state: 'waiting', model: uploadFields(), loaded: 0, tries: 0, request: null, error: null };
    uploads.push(upload);
    show(upload);
    const problem = validate(file);
    if (problem) fail(upload, problem, false);
  }
  next();
}

// Whether uploads require signing in and no user is signed in.
const signInRequired = () => limits()?.anonymous_uploads === false && !currentUser();

// Checks that need no request.
function validate(file) {
  if (signInRequired()) return t('users-alone');
  if (file.size === 0) return t('upload-empty');
  const most = limits()?.max_upload_bytes;
  if (most && file.size > most) {
    return t('upload-large', { size: size(file.size), most: size(most) });
  }
  return isSong(file.type) ? null : t('upload-kind', { kind: file.type });
}

// Uploads that are not finished and have not failed.
const open = () => uploads.filter(({ state }) => ['waiting', 'going', 'away'].includes(state));
const failed = () => uploads.filter(({ state }) => state === 'failed');

function count() {
  const [n, wrong] = [open().length, failed().length];
  section.hidden = !uploads.length;
  setText(heading, [n && t('uploads', { n }), wrong && t('uploads-failed', { n: wrong })].filter(Boolean).join(' · '));
  total.hidden = !n || !section.classList.contains('compact');
  dismissAll.hidden = wrong < 2;
}

function next() {
  saveNames();
  count();
  const going = uploads.filter(({ state }) => state === 'going').length;
  for (const upload of uploads.filter(({ state }) => state === 'waiting').slice(0, Math.max(0, AT_ONCE - going))) begin(upload);
}

function begin(upload) {
  upload.state = 'going';
  upload.loaded = 0;
  upload.sent = upload.place?.title ?? upload.title;
  upload.known = null;
  const fields = { title: upload.title, ...upload.model, ...(!upload.duplicate && { duplicates: 'refuse' }) };
  const progress = (loaded, total) => {
    upload.loaded = total ? loaded / total : 0;
    update(upload);
  };
  const answered = (request) => {
    if (request.status === 200) return done(upload, JSON.parse(request.responseText).data.song);
    const error = parseError(request.status, request.responseText);
    if (error.unreachable) return broken(upload);
    if (error.has('duplicate')) return duplicate(upload, error.errors[0].song_id);
    if (error.status === 401) return signInRequired() ? fail(upload, t('users-alone'), true) : ended(upload);
    // Offer a retry if it may succeed: temporary errors, or a rejected title, which the user can change.
    fail(upload, explain(error), error.status >= 500 || [403, 408, 429].includes(error.status) || error.errors.some(({ field }) => field === 'title'));
  };
  if (upload.file.size > IN_PARTS_BYTES && limits()?.resumable_uploads) {
    resumable().then(({ sendParts }) => { if (upload.state === 'going') sendParts(upload, fields, { progress, answered, broken: () => broken(upload) }); }, () => broken(upload));
    return update(upload);
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', upload.file, upload.file.name);
  const request = new XMLHttpRequest();
  upload.request = request;
  request.upload.onprogress = (event) => progress(event.loaded, event.total);
  request.onload = () => answered(request);
  request.onerror = () => broken(upload);
  request.open('POST', 'songs/upload');
  request.send(form);
  update(upload);
}

async function done(upload, song) {
  remove(upload);
  if (section.classList.contains('compact')) toast(t('uploaded', { title: song.title }));
  putAndRefresh(song);
  // The title was edited during the upload.
  if (upload.title !== upload.sent && upload.title.trim()) {
    await ask('PATCH', `songs/${song.id}`, { title: upload.title }).then((data) => putAndRefresh(data.song), (error) => {
      toast(t('rename-failed', { why: explain(error) }), { bad: true });
    });
  }
}

// Whether the browser can still read a file: a folder, or a file that was moved or changed since, fails like a connection.
const isReadable = (file) => file.slice(-1).arrayBuffer().then(() => true, () => false);

// The connection failed. An early rejection by the server can look the same.
async function broken(upload) {
  const readable = await isReadable(upload.file);
  if (upload.state !== 'going') return;
  if (!readable) return fail(upload, t('upload-unreadable'), true);
  upload.tries += 1;
  connectionLost();
  if (upload.tries > TRIES) return fail(upload, t('upload-broken'), true);
  upload.state = 'away';
  update(upload);
  await untilReachable();
  if (upload.state !== 'away') return;
  upload.state = 'waiting';
  update(upload);
  next();
}

// The session has ended: a private upload must not become public.
function ended(upload) {
  fail(upload, t('upload-ended'), true);
  document.dispatchEvent(new Event('session-ended'));
}

// The user has this song already. Retrying uploads it again.
function duplicate(upload, song) {
  upload.duplicate = true;
  upload.known = song;
  upload.retry.dataset.t = 'upload-again';
  setText(upload.retry, t('upload-again'));
  fail(upload, t('error-duplicate'), true);
}

function fail(upload, why, again) {
  upload.state = 'failed';
  upload.error = why;
  upload.again = again;
  update(upload);
  next();
}

function remove(upload) {
  const focused = upload.row.contains(document.activeElement);
  upload.state = 'gone';
  upload.row.remove();
  uploads.splice(uploads.indexOf(upload), 1);
  if (focused) find('#choose').focus();
  next();
}

function show(upload) {
  const name = h('input', { class: 'title', value: upload.title, label: 'title', maxlength: limits()?.max_title_chars ?? 200, dir: 'auto',
    oninput: () => { upload.title = name.value; } });
  upload.name = name;
  upload.bar = h('progress', { max: 1, value: 0, label: 'upload-progress' });
  upload.note = h('span', { class: 'note' });
  upload.retry = h('button', { class: 'small', t: 'try-again', hidden: true, onclick: () => {
    upload.tries = 0;
    upload.state = 'waiting';
    update(upload);
    next();
  } });
  upload.cancel = h('button', { class: 'small plain', label: 'cancel-upload', onclick: () => {
    const { request } = upload;
    remove(upload);
    if (request) request.onerror = null;
    request?.abort();
    if (upload.place) resumable().then(({ forgetParts }) => forgetParts(upload));
  } }, icon('close'));
  upload.row = h('li', { class: 'upload' }, name, h('span', { class: 'dim' }, size(upload.file.size)), upload.retry, upload.cancel, upload.bar, upload.note);
  list.append(upload.row);
  update(upload);
}

function update(upload) {
  const { state, bar, note, loaded, row, name, cancel } = upload;
  row.dataset.state = state;
  // The title of a file that cannot be uploaded does not matter any more.
  name.readOnly = state === 'failed' && !upload.again;
  cancel.dataset.tLabel = state === 'failed' ? 'dismiss' : 'cancel-upload';
  translateElement(cancel);
  const going = open();
  total.value = going.reduce((sum, each) => sum + each.loaded * each.file.size, 0) / going.reduce((sum, each) => sum + each.file.size, 0) || 0;
  bar.hidden = state === 'failed';
  bar.value = loaded;
  upload.retry.hidden = !(state === 'failed' && upload.again);
  note.setAttribute('role', state === 'failed' ? 'alert' : 'note');
  const sent = loaded < 1 ? t('upload-going', { percent: percent(Math.floor(loaded * 100)) }) : t('upload-checked');
  setText(note, { waiting: t('upload-waiting'), going: sent, away: t('upload-away'), failed: upload.error }[state] ?? '');
  if (state === 'failed' && upload.known) note.append(' ', h('a', { href: `#/songs/${upload.known}`, t: 'upload-known' }));
}

// Stores the names of open uploads, so that the page can report them after a reload.
function saveNames() {
  const names = open().map(({ file }) => file.name);
  try {
    if (names.length) sessionStorage.setItem(KEPT, JSON.stringify(names));
    else sessionStorage.removeItem(KEPT);
  } catch { /* storage is blocked */ }
}

export function interrupted() {
  try {
    const names = JSON.parse(sessionStorage.getItem(KEPT) ?? '[]');
    sessionStorage.removeItem(KEPT);
    return names;
  } catch {
    return [];
  }
}

window.addEventListener('beforeunload', (event) => {
  if (open().length) event.preventDefault();
});

// Describes accepted formats, quotas and retention.
function describeLimits() {
  const now = limits();
  if (!now) return '';
  const texts = [t('limits', { size: size(now.max_upload_bytes), hours: hours(now.max_duration_s / 3600) })];
  const { max_songs: songs, max_bytes: bytes, max_audio_minutes_per_day: minutes } = currentUser() ? now.user_quota : now.anonymous_quota;
  if (songs) texts.push(t('limits-songs', { n: songs }));
  if (bytes) texts.push(t('limits-bytes', { size: size(bytes) }));
  if (minutes) texts.push(t('limits-minutes', { n: minutes }));
  const days = currentUser() ? now.retention_days : now.anonymous_retention_days;
  if (days) texts.push(t('limits-days', { n: days }));
  return texts.join(' ');
}

// The drop zone, its rules and the running uploads. They are created once.
export function zone() {
  const input = h('input', { type: 'file', multiple: true, id: 'files', class: 'unseen', tabindex: -1, 'aria-hidden': 'true',
    accept: ['audio/*', 'video/mp4', 'video/webm', ...SUFFIXES.map((suffix) => `.${suffix}`)].join() });
  input.addEventListener('change', () => {
    add(input.files);
    input.value = '';
  });
  const choose = h('button', { class: 'primary', id: 'choose', t: 'choose', onclick: () => input.click() });
  const model = modelChoice('upload-model');
  models.addEventListener('change', model.update);
  const limitsText = h('p', { class: 'dim', id: 'limits' });
  const openness = h('p', { class: 'openness', id: 'openness' });
  const area = h('div', { class: 'drop', id: 'drop' }, icon('upload'), h('p', { class: 'big', t: 'drop-here' }), choose, input, model.element, openness);
  const rules = h('div', { class: 'rules' }, limitsText, h('p', { class: 'dim', id: 'same-file', t: 'same-file' }));
  let over = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  // Listen on the whole page: the browser would open a file dropped outside the zone.
  document.addEventListener('dragenter', (event) => { if (hasFiles(event)) { over += 1; area.classList.add('over'); } });
  document.addEventListener('dragleave', (event) => { if (hasFiles(event) && --over <= 0) { over = 0; area.classList.remove('over'); } });
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over = 0;
    area.classList.remove('over');
    const { files, empty, skipped } = await dropped(event.dataTransfer);
    add(files);
    for (const name of empty) toast(t('folder-empty', { name }), { bad: true });
    if (skipped) toast(t('folder-skipped', { n: skipped }));
  });
  const refresh = () => {
    setText(limitsText, describeLimits());
    openness.classList.toggle('unknown', !isUserKnown());
    openness.dataset.open = String(!currentUser());
    const openly = signInRequired() ? 'users-alone' : 'open-to-all';
    openness.replaceChildren(icon(currentUser() ? 'lock' : 'open'), h('span', {}, t(currentUser() ? 'yours-alone' : openly)));
    model.update();
    uploads.forEach(update);
    count();
  };
  // `address` leads back to the list; it is null in the list itself.
  const place = (address) => {
    section.classList.toggle('compact', address !== null);
    details.hidden = address === null;
    if (address !== null) details.href = address;
    count();
  };
  return { area, rules, section, update: refresh, place };
}
