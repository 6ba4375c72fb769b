// The account page.
import { ask } from './api.js';
import { announce, copyText, explain, h, setText, toast } from './dom.js';
import { limits } from './limits.js';
import { currentUser, isUserKnown, loadUser, setUser, signOut } from './session.js';
import { date, t } from './text.js';

let tokens = null;
// Shows a new token's secret; `dataset.of` is the token's ID.
let secret = null;

// A form that posts its fields, and those that `more` returns, to `path` and shows errors next to them.
function form({ id, heading, path, fields, button, done, more = () => ({}) }) {
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const inputs = fields.map(({ name, text, hint, ...attributes }) => {
    const wrong = h('span', { class: 'trouble', id: `${id}-${name}-wrong` });
    const input = h('input', { id: `${id}-${name}`, name, required: true, 'aria-describedby': `${id}-${name}-wrong ${id}-${name}-hint`, ...attributes });
    const label = h('label', { for: input.id, t: text });
    const note = h('span', { class: 'hint', id: `${id}-${name}-hint` }, hint ? h('span', { t: hint }) : '');
    return { name, input, wrong, row: h('div', { class: 'field' }, label, input, note, wrong) };
  });
  const submit = h('button', { class: 'primary', type: 'submit', t: button });
  const send = async (event) => {
    event.preventDefault();
    setText(trouble, '');
    for (const { input, wrong } of inputs) {
      setText(wrong, '');
      input.removeAttribute('aria-invalid');
    }
    submit.disabled = true;
    try {
      const values = { ...Object.fromEntries(inputs.map(({ name, input }) => [name, input.value])), ...more() };
      const data = await ask('POST', path, values);
      element.reset();
      done(data);
    } catch (error) {
      let focused = false;
      for (const each of error.errors ?? []) {
        const at = inputs.find(({ name }) => name === each.field);
        setText(at?.wrong ?? trouble, explain({ errors: [{ field: id, ...each }] }));
        at?.input.setAttribute('aria-invalid', 'true');
        if (at && !focused) at.input.focus();
        focused ||= Boolean(at);
      }
      if (!error.errors?.length) setText(trouble, explain(error));
      if (error.status === 401) loadUser(true).catch(() => {});
    } finally {
      submit.disabled = false;
    }
  };
  const element = h('form', { class: 'card', id, onsubmit: send, novalidate: true }, h('h2', { t: heading }), inputs.map(({ row }) => row), trouble, submit);
  return element;
}

const signedIn = (data) => {
  setUser(data.user);
  announce(t('logged-in-as', { name: data.user.username }));
  location.hash = '#/';
};

const password = (name, text, hint) => ({ name, text, hint, type: 'password', autocomplete: name === 'password1' || name === 'password2' ? 'new-password' : 'current-password', maxlength: 1024 });
const username = { name: 'username', text: 'username', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', maxlength: 200 };

export function view() {
  const inside = isUserKnown() ? currentUser() ? accountPage() : signInPage() : h('p', { t: 'loading' });
  return h('div', { class: 'account' }, h('h1', { tabindex: -1, t: 'account' }), inside);
}

function signInPage() {
  const fields = [username, password('password', 'password')];
  const log = form({ id: 'login', heading: 'log-in', path: 'auth/login', fields, button: 'log-in', done: signedIn });
  const registration = limits()?.registration;
  if (registration === 'closed') {
    const columns = h('div', { class: 'columns' }, log);
    return [h('p', { class: 'lead', t: 'account-lead' }), h('p', { id: 'registration-closed', t: 'registration-closed' }), withProvider('showSignIn', h('div', { class: 'provider' }), columns), columns];
  }
  const news = [{ ...username, hint: 'username-hint' }, password('password1', 'password', 'password-hint'), password('password2', 'password-again')];
  if (registration === 'invite') {
    news.unshift({ name: 'invite', text: 'invite', hint: 'invite-hint', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 200 });
  }
  const register = form({ id: 'register', heading: 'register', path: 'auth/register', fields: news, button: 'register', done: signedIn });
  const columns = h('div', { class: 'columns' }, log, register);
  return [h('p', { class: 'lead', t: 'account-lead' }), withProvider('showSignIn', h('div', { class: 'provider' }), columns), columns];
}

// Fills an element with what concerns the sign-in provider. Loaded when it is needed.
function withProvider(name, place, ...more) {
  import('./provider.js').then((provider) => provider[name](place, ...more)).catch((error) => toast(explain(error), { bad: true }));
  return place;
}

async function leave(everywhere) {
  const { continuesThere } = await import('./provider.js');
  const continues = continuesThere();
  if (await signOut(everywhere) && continues) location.assign('auth/oidc/logout');
}

function accountPage() {
  const fields = [password('old_password', 'old-password'), password('password1', 'new-password', 'password-hint'), password('password2', 'password-again')];
  const changed = () => {
    toast(t('password-changed'));
    list();
  };
  return [
    h('p', { class: 'lead', dir: 'auto' }, t('logged-in-as', { name: currentUser().username })),
    currentUser().administrator && h('p', {}, h('a', { class: 'button', id: 'admin-link', href: '#/admin', t: 'admin' })),
    h('p', {}, h('button', { id: 'logout', t: 'log-out', onclick: () => leave() }), ' ', h('button', { id: 'logout-everywhere', class: 'danger', t: 'log-out-everywhere', onclick: () => leave(true) })),
    h('p', { class: 'hint', t: 'log-out-everywhere-hint' }),
    h('div', { class: 'columns' }, form({ id: 'password', heading: 'change-password', path: 'auth/password', fields, button: 'change-password', done: changed }), tokensCard(), withProvider('showConnection', h('div', { class: 'card' })),
      limits()?.max_webhooks ? callbacks() : null),
  ];
}

// Loaded when it is needed.
function callbacks() {
  const place = h('div');
  import('./callbacks.js').then(({ callbacksCard }) => place.replaceWith(callbacksCard(form)), (error) => toast(explain(error), { bad: true }));
  return place;
}

function tokensCard() {
  tokens = h('ul', { class: 'tokens' });
  secret = h('div', { class: 'secret', role: 'status' });
  const made = ({ token, secret: text }) => {
    const shown = h('input', { readonly: true, value: text, label: 'token-secret', class: 'mono', id: 'token-secret' });
    const copy = h('button', { t: 'copy', onclick: () => copyText(shown) });
    secret.dataset.of = token.id;
    secret.replaceChildren(h('p', {}, t('token-made', { name: token.name })), h('div', { class: 'row' }, shown, copy));
    shown.select();
    list();
  };
  const fields = [{ name: 'name', text: 'token-name', hint: 'token-hint', maxlength: 200, autocomplete: 'off' }];
  const card = form({ id: 'token', heading: 'tokens', path: 'auth/tokens', fields, button: 'token-make', done: made });
  card.querySelector('h2').after(h('p', { t: 'tokens-lead' }));
  card.append(secret, tokens);
  list();
  return card;
}

async function list() {
  const shown = tokens;
  try {
    const data = await ask('GET', 'auth/tokens');
    shown.replaceChildren(...data.tokens.map((token) => {
      const revoke = h('button', { class: 'small danger', t: 'token-revoke', onclick: () => revokeToken(token) });
      revoke.setAttribute('aria-label', t('token-revoke-named', { name: token.name }));
      return h('li', {}, h('span', { dir: 'auto' }, token.name), h('span', { class: 'dim' }, date(token.created_at)), revoke);
    }));
  } catch (error) {
    shown.replaceChildren(h('li', { class: 'trouble' }, explain(error)));
  }
}

async function revokeToken(token) {
  try {
    await ask('DELETE', `auth/tokens/${token.id}`);
    toast(t('token-revoked', { name: token.name }));
    if (secret.dataset.of === token.id) secret.replaceChildren();
  } catch (error) {
    toast(explain(error), { bad: true });
  }
  list();
}
