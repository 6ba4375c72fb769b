// Sign-in with an OpenID Connect provider: the button, the connection with an account, and how a sign-in ended.
import { ask } from './api.js';
import { confirmed, explain, h, toast } from './dom.js';
import { t } from './text.js';

// How the sign-in ended with which the browser came back: the code of an error, or `connected`.
let ended = takeEnd();
addEventListener('hashchange', () => { ended = takeEnd(); });

function takeEnd() {
  const [address, query] = location.hash.split('?');
  const end = new URLSearchParams(query).get('sign-in');
  // So that a reload does not tell it again.
  if (end) history.replaceState(history.state, '', address);
  return end;
}

// Whether a sign-out here is to continue at the provider.
let continues = false;
export const continuesThere = () => continues;

function trouble() {
  if (!ended || ended === 'connected') return null;
  const text = explain({ errors: [{ code: ended, field: 'provider', message: t('provider-failed') }] });
  return h('p', { class: 'trouble', role: 'alert', id: 'provider-trouble' }, text);
}

// Fills `place` with the button, and removes the forms if passwords are turned off.
export async function showSignIn(place, forms) {
  const { sign_in: { password, provider } } = await ask('GET', 'auth/options');
  if (!password) forms.remove();
  const link = provider && h('a', { class: 'button primary', id: 'provider', href: 'auth/oidc', dir: 'auto' }, t('provider-sign-in', { name: provider.name }));
  place.replaceChildren(...[trouble(), link].filter(Boolean));
}

// Fills `place` with the connection of the account that is signed in.
export async function showConnection(place) {
  const { sign_in: { provider } } = await ask('GET', 'auth/options');
  if (!provider) return place.remove();
  const { connected } = await ask('GET', 'auth/oidc/link');
  const { name } = provider;
  continues = provider.logout && connected;
  const connect = h('button', { id: 'connect', t: 'provider-connect', onclick: async () => {
    connect.disabled = true;
    try {
      location.assign((await ask('POST', 'auth/oidc/link')).url);
    } catch (error) {
      connect.disabled = false;
      toast(explain(error), { bad: true });
    }
  } });
  const disconnect = h('button', { id: 'disconnect', class: 'danger', t: 'provider-disconnect', onclick: async () => {
    if (!await confirmed(t('provider-disconnect-asked', { name }), t('provider-disconnect'))) return;
    try {
      await ask('DELETE', 'auth/oidc/link');
      await showConnection(place);
      place.querySelector('#connect')?.focus();
    } catch (error) {
      toast(error.errors?.some(({ code }) => code === 'conflict') ? t('provider-needed') : explain(error), { bad: true });
    }
  } });
  const parts = [h('h2', { dir: 'auto' }, t('provider-heading', { name })), h('p', { id: 'connection', dir: 'auto' }, t(connected ? 'provider-connected' : 'provider-connect-lead', { name })), trouble(), connected ? disconnect : connect];
  place.replaceChildren(...parts.filter(Boolean));
}
