// The dialog that creates, lists and revokes a song's share links.
import { ask } from './api.js';
import { copyText, explain, h, setText, toast } from './dom.js';
import { date, t } from './text.js';

// Opens the dialog. `mix` is the player's mix as form fields; without a player it is null.
export function shareDialog(song, mix) {
  const at = `songs/${song.id}/shares`;
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const withMix = h('input', { type: 'checkbox', id: 'share-mix', disabled: !mix, 'aria-describedby': 'share-mix-hint' });
  const whyNot = mix ? '' : t('share-mix-later');
  const until = h('input', { type: 'date', id: 'share-until', 'aria-describedby': 'share-until-hint', min: today() });
  const create = h('button', { class: 'primary', type: 'submit', id: 'share-create', t: 'share-create' });
  const made = h('div', { class: 'secret', role: 'status' });
  const links = h('ul', { class: 'tokens', id: 'shares', label: 'share-links' });

  async function submit(event) {
    event.preventDefault();
    setText(trouble, '');
    create.disabled = true;
    try {
      // The link lasts until the end of the day here.
      const end = until.value ? { expires_at: new Date(`${until.value}T23:59:59`).toISOString() } : {};
      const { secret, share } = await ask('POST', at, { ...end, ...(withMix.checked ? mix : {}) });
      const link = h('input', { readonly: true, value: `${location.origin}${location.pathname}#/s/${secret}`, label: 'share-link', class: 'mono', id: 'share-link' });
      const copy = h('button', { id: 'share-copy', t: 'copy', onclick: () => copyText(link) });
      made.dataset.of = share.id;
      made.replaceChildren(h('p', { t: 'share-made' }), h('div', { class: 'row' }, link, copy));
      link.select();
      list();
    } catch (error) {
      setText(trouble, explain(error));
    } finally {
      create.disabled = false;
    }
  }

  async function list() {
    try {
      const { shares } = await ask('GET', at);
      links.replaceChildren(...shares.length ? shares.map(row) : [h('li', { class: 'dim', t: 'share-none' })]);
    } catch (error) {
      links.replaceChildren(h('li', { class: 'trouble' }, explain(error)));
    }
  }

  function row(share) {
    const created = date(share.created_at);
    const end = share.expires_at && date(share.expires_at);
    const ended = end && new Date(share.expires_at) <= new Date();
    const lasts = ended ? t('share-ended') : end ? t('share-ends', { end }) : t('share-endless');
    const revoke = h('button', { class: 'small danger', t: 'token-revoke', onclick: () => revokeShare(share) });
    revoke.setAttribute('aria-label', t('share-revoke-named', { created }));
    return h('li', {}, h('span', {}, t('share-created', { created })), h('span', { class: 'dim' }, share.mix ? `${lasts}, ${t('share-mixed')}` : lasts), revoke);
  }

  async function revokeShare(share) {
    try {
      await ask('DELETE', `${at}/${share.id}`);
      toast(t('share-revoked'));
      if (made.dataset.of === share.id) made.replaceChildren();
    } catch (error) {
      setText(trouble, explain(error));
    }
    await list();
    // The button that had the focus is gone.
    create.focus();
  }

  const dialog = h('dialog', { class: 'share', id: 'share-dialog', 'aria-labelledby': 'share-heading', onclose: () => dialog.remove() },
    h('h2', { id: 'share-heading', t: 'share-heading' }), h('p', { t: 'share-lead' }),
    h('form', { onsubmit: submit },
      h('label', { class: 'option' }, withMix, h('span', { t: 'share-with-mix' })),
      h('p', { class: 'hint', id: 'share-mix-hint' }, whyNot),
      h('div', { class: 'field' }, h('label', { for: 'share-until', t: 'share-until' }), until, h('span', { class: 'hint', id: 'share-until-hint', t: 'share-until-hint' })),
      trouble, create),
    made, h('h3', { t: 'share-links' }), links,
    h('p', {}, h('button', { id: 'share-close', t: 'close', onclick: () => dialog.close() })));
  document.body.append(dialog);
  dialog.showModal();
  list();
}

// Today's date here, for a date input.
function today() {
  const now = new Date();
  const two = (value) => String(value).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
