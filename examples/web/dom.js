// Elements, and what is told to the reader beside them.
import { t, word } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';

// An element. `t`, `label` and `hint` name texts that follow the language; `on…` are listeners; texts are never markup.
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 't') element.dataset.t = value;
    else if (key === 'label') element.dataset.tLabel = value;
    else if (key === 'hint') element.dataset.tHint = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  // What is within was worded when it was made.
  word(element);
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

// Writes only what is different, so that nobody who reads along or has it selected is disturbed.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const find = (selector) => document.querySelector(selector);

// Said to screen readers alone.
export function say(text) {
  find('#say').textContent = text;
}

// A note at the edge of the window that goes by itself, with something to do where that is useful. Returns how to take it away.
export function toast(text, { action, run, lasts = 7000, bad = false } = {}) {
  const close = () => note.remove();
  const note = h('div', { class: bad ? 'toast bad' : 'toast', role: bad ? 'alert' : 'status' }, h('span', { dir: 'auto' }, text));
  if (action) note.append(h('button', { class: 'small', onclick: () => { close(); run(); } }, action));
  note.append(h('button', { class: 'small plain', label: 'close', onclick: close }, icon('close')));
  find('#toasts').append(note);
  if (lasts) setTimeout(close, lasts);
  return close;
}

// What went wrong, in the reader's language where its kind is known, else in the server's words.
export function explain(error) {
  if (error.errors?.length) {
    return error.errors.map(({ code, field, message }) => {
      const known = t(`error-${code}-${field}`, {}, '') || t(`error-${code}`, {}, '');
      return known || sentence(message);
    }).join(' ');
  }
  return error.away ? t('away-short') : sentence(error.message || String(error));
}

function sentence(text) {
  const all = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(all) ? all : `${all}.`;
}
