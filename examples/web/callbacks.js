// Callbacks in the account: addresses that the server calls when a song is split, fails or is deleted.
import { ask } from './api.js';
import { confirmed, copyText, explain, h, setText, toast } from './dom.js';
import { date, t } from './text.js';

const EVENTS = ['split', 'failed', 'deleted'];

/** `form` makes forms as account.js does. */
export function callbacksCard(form) {
  const boxes = EVENTS.map((event) => h('input', { type: 'checkbox', value: `song.${event}`, id: `callback-${event}`, checked: true, onchange: () => {
    // A callback without events would have all.
    if (!chosen().length) boxes[EVENTS.indexOf(event)].checked = true;
  } }));
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  // Leaving the page removes the secret from it.
  const secret = h('div', { class: 'secret', role: 'status' });
  const list = h('ul', { class: 'tokens', id: 'callbacks' });

  const made = ({ webhook, secret: text }) => {
    const shown = h('input', { readonly: true, value: text, label: 'callback-secret', class: 'mono', id: 'callback-secret' });
    secret.dataset.of = webhook.id;
    secret.replaceChildren(h('p', { t: 'callback-made' }), h('div', { class: 'row' }, shown, h('button', { t: 'copy', onclick: () => copyText(shown) })));
    shown.select();
    show();
  };
  const fields = [{ name: 'url', text: 'callback-url', hint: 'callback-hint', type: 'url', maxlength: 2000, autocomplete: 'off' }];
  const card = form({ id: 'callback', heading: 'callbacks', path: 'webhooks', fields, button: 'callback-make', done: made, more: () => ({ events: chosen().join(',') }) });
  card.querySelector('h2').after(h('p', { t: 'callbacks-lead' }));
  card.querySelector('.field').after(h('fieldset', { class: 'heard' }, h('legend', { t: 'callback-events' }),
    EVENTS.map((event, at) => h('label', { class: 'option' }, boxes[at], h('span', { t: `callback-on-${event}` })))));
  card.append(secret, list);

  async function show() {
    try {
      const { webhooks } = await ask('GET', 'webhooks');
      list.replaceChildren(...webhooks.map(row));
    } catch (error) {
      list.replaceChildren(h('li', { class: 'trouble' }, explain(error)));
    }
  }

  // Runs a change and shows the list again; a failure is a toast.
  async function change(work) {
    try {
      await work();
    } catch (error) {
      toast(explain(error), { bad: true });
    }
    await show();
  }

  function row({ id, url, events, failing_since: failing, disabled_at: disabled }) {
    const at = `webhooks/${id}`;
    const what = events.map((event) => t(`callback-on-${event.replace('song.', '')}`)).join(', ');
    const state = disabled ? t('callback-disabled', { when: date(disabled) }) : failing ? t('callback-failing', { when: date(failing) }) : t('callback-works');
    const sent = h('ol', { class: 'sent', hidden: true });
    const named = (name, key, act, options = {}) => {
      const button = h('button', { class: 'small', t: key, onclick: act, ...options });
      button.setAttribute('aria-label', t('callback-named', { what: t(key), url }));
      button.dataset.act = name;
      return button;
    };
    const deliveries = named('deliveries', 'callback-deliveries', async () => {
      sent.hidden = !sent.hidden;
      deliveries.setAttribute('aria-expanded', String(!sent.hidden));
      if (!sent.hidden) await showSent(at, sent);
    }, { 'aria-expanded': 'false' });
    const test = named('test', 'callback-test', async () => {
      try {
        await ask('POST', `${at}/test`);
        toast(t('callback-tested'));
        if (!sent.hidden) await showSent(at, sent);
      } catch (error) {
        toast(explain(error), { bad: true });
      }
    });
    const enable = disabled && named('enable', 'callback-enable', () => change(() => ask('POST', `${at}/enable`)));
    const remove = named('delete', 'delete', async () => {
      if (!await confirmed(t('callback-delete', { url }), t('delete'))) return;
      if (secret.dataset.of === id) secret.replaceChildren();
      await change(() => ask('DELETE', at));
      card.querySelector('input').focus();
    }, { class: 'small danger' });
    return h('li', { class: 'entry', 'data-id': id }, h('span', { dir: 'ltr', class: 'mono' }, url), h('span', { class: 'dim' }, `${what} · ${state}`),
      h('div', { class: 'actions' }, deliveries, test, enable, remove), sent);
  }

  async function showSent(at, place) {
    try {
      const { deliveries } = await ask('GET', `${at}/deliveries`);
      place.replaceChildren(...deliveries.length ? deliveries.map(delivery) : [h('li', { class: 'dim', t: 'callback-none' })]);
    } catch (error) {
      place.replaceChildren(h('li', { class: 'trouble' }, explain(error)));
    }
  }

  show();
  return card;
}

// A delivery in one line: when, what, and how it went.
function delivery({ event, status, created_at: created, attempts, status_code: code, error, next_attempt_at: next }) {
  const name = event.replace('song.', '');
  const parts = [date(created), t(`callback-on-${name}`, {}, event), t(`callback-${status}`, {}, status), attempts > 1 && t('callback-attempts', { n: attempts }),
    code && `HTTP ${code}`, error, next && attempts > 0 && t('callback-next', { when: date(next) })];
  const line = h('li', { 'data-status': status });
  setText(line, parts.filter(Boolean).join(' · '));
  return line;
}
