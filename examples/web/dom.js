// Element helpers, toasts and screen reader announcements.
import { t, translateElement } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Creates an element. `t`, `label` and `hint` are translation keys; `on…` are listeners; texts are never parsed as HTML.
 * @param {string} name
 * @param {Record<string, any>} attributes
 * @param {any[]} children
 * @returns {any}
 */
export function h(name, attributes = {}, ...children) {
  /** @type {any} */
  const element = document.createElement(name);
  // The browser's default, `submit`, would send the form around a button.
  if (name === 'button') element.type = 'button';
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 't') element.dataset.t = value;
    else if (key === 'label') element.dataset.tLabel = value;
    else if (key === 'hint') element.dataset.tHint = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  // Children were translated when they were created.
  translateElement(element);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

// Writes only if the text changed, to keep selections and to avoid repeated announcements.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @type {(selector: string) => any} */
export const find = (selector) => document.querySelector(selector);

// Selects an input's text and copies it. Without TLS (except on localhost) browsers have no clipboard API; the user can copy the
// selection by hand.
export async function copyText(input) {
  input.select();
  await navigator.clipboard?.writeText(input.value).then(() => toast(t('copied')), () => {});
}

// Announces a text to screen readers only.
export function announce(text) {
  find('#say').textContent = text;
}

/**
 * Shows a toast that closes by itself, with an optional action button. Returns a function that closes it.
 * @param {string} text
 * @param {{ action?: string, run?: () => void, lasts?: number, bad?: boolean }} options
 */
export function toast(text, { action, run, lasts = 7000, bad = false } = {}) {
  const close = () => note.remove();
  const note = h('div', { class: bad ? 'toast bad' : 'toast', role: bad ? 'alert' : 'status' }, h('span', { dir: 'auto' }, text));
  if (action) note.append(h('button', { class: 'small', onclick: () => { close(); run(); } }, action));
  note.append(h('button', { class: 'small plain', label: 'close', onclick: close }, icon('close')));
  find('#toasts').append(note);
  if (lasts) setTimeout(close, lasts);
  return close;
}

// Asks whether to do what cannot be undone. Resolves to true if the user agrees.
export function confirmed(question, action) {
  return new Promise((done) => {
    const dialog = h('dialog', { 'aria-labelledby': 'question', onclose: () => {
      dialog.remove();
      done(dialog.returnValue === 'yes');
    } }, h('p', { id: 'question', dir: 'auto' }, question), h('div', { class: 'row' },
      h('button', { class: 'danger', onclick: () => dialog.close('yes') }, action), h('button', { t: 'cancel', autofocus: true, onclick: () => dialog.close() })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Describes an error: translated if its code is known, otherwise with the server's message.
export function explain(error) {
  if (error.errors?.length) {
    return error.errors.map(({ code, field, message }) => {
      const known = t(`error-${code}-${field}`, {}, '') || t(`error-${code}`, {}, '');
      return known || sentence(message);
    }).join(' ');
  }
  return error.unreachable ? t('away-short') : sentence(error.message || String(error));
}

function sentence(text) {
  const all = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(all) ? all : `${all}.`;
}
