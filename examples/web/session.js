// Who is signed in.
import { ask } from './api.js';
import { announce, explain, find, setText, toast } from './dom.js';
import { t } from './text.js';

// Dispatches `change` when the signed-in user changes, `ended` when a session ends without a sign-out here.
export const account = new EventTarget();

let user = null;
// Whether the server has said who is signed in.
let isKnown = false;

export const currentUser = () => user;
export const isUserKnown = () => isKnown;

// Notes who is signed in, as the server has said.
export function setUser(now) {
  const before = user;
  user = now;
  isKnown = true;
  if (before?.id !== now?.id) account.dispatchEvent(new Event('change'));
}

// Fetches the signed-in user. With `quietly`, a missing session counts as ended and dispatches `ended`.
export async function loadUser(quietly = false) {
  const before = user;
  setUser((await ask('GET', 'auth/me')).user);
  if (quietly && before && !user) account.dispatchEvent(new Event('ended'));
}

// Returns whether it has worked.
export async function signOut(everywhere = false) {
  try {
    await ask('POST', everywhere ? 'auth/logout_everywhere' : 'auth/logout');
    setUser(null);
    location.hash = '#/';
    announce(t('logged-out'));
    return true;
  } catch (error) {
    toast(explain(error), { bad: true });
    return false;
  }
}

// Updates the account link in the header.
export function updateLink() {
  const link = find('#account-link');
  if (user) delete link.dataset.t;
  else link.dataset.t = 'log-in';
  setText(link, user ? user.username : t('log-in'));
  link.classList.toggle('unknown', !isKnown);
}
