// Texts in the user's language; numbers, times and sizes in the user's locale.

const LANGUAGES = ['en', 'ru'];

let strings = {};
// Names of texts of views that are loaded when they are opened, beside those of the language.
const further = [];
let language = 'en';
let locale = 'en';
let plural = new Intl.PluralRules('en');

export function preferredLanguage() {
  const kept = recall('language');
  if (LANGUAGES.includes(kept)) return kept;
  const wanted = navigator.languages.map((name) => name.slice(0, 2));
  return wanted.find((name) => LANGUAGES.includes(name)) ?? 'en';
}

async function read(file) {
  const answer = await fetch(`web/${file}.json`);
  if (!answer.ok) throw new Error(`${file}.json: ${answer.status}`);
  return answer.json();
}

// Adds the texts of a view that is loaded when it is opened.
export async function addTexts(name) {
  if (further.includes(name)) return;
  const [loaded, texts] = [language, await read(`${name}-${language}`)];
  if (further.includes(name)) return;
  further.push(name);
  // The user may have chosen another language meanwhile.
  Object.assign(strings, loaded === language ? texts : await read(`${name}-${language}`));
}

export async function setLanguage(name) {
  let [count, texts] = [-1, []];
  // A view may add texts meanwhile.
  while (count !== further.length) {
    count = further.length;
    texts = await Promise.all([name, ...further.map((each) => `${each}-${name}`)].map(read));
  }
  strings = Object.assign({}, ...texts);
  language = name;
  locale = navigator.languages.find((each) => each.startsWith(name)) ?? name;
  plural = new Intl.PluralRules(locale);
  document.documentElement.lang = name;
  translate(document.documentElement);
  delete document.documentElement.dataset.untranslated;
}

// Returns the text for a key with its placeholders filled in; `n` selects the plural form.
export function t(name, values = {}, otherwise = name) {
  let text = strings[name];
  if (text && typeof text === 'object') text = text[plural.select(values.n)] ?? text.other;
  if (text === undefined) return otherwise;
  return text.replace(/\{(\w+)\}/g, (whole, key) => {
    const value = values[key] ?? whole;
    return typeof value === 'number' ? number(value) : value;
  });
}

// Sets the texts that an element's data attributes name.
export function translateElement(element) {
  const { t: text, tLabel: label, tHint: hint } = element.dataset;
  if (text) element.textContent = t(text, {}, element.textContent);
  if (label) {
    element.title = t(label, {}, element.title);
    element.setAttribute('aria-label', element.title);
  }
  if (hint) element.placeholder = t(hint, {}, element.placeholder);
}

export const translate = (root) => [root, ...root.querySelectorAll('[data-t], [data-t-label], [data-t-hint]')].forEach(translateElement);

export const number = (value) => new Intl.NumberFormat(locale).format(value);
// With its sign: +2, −0.5, 0.
export const signed = (value) => new Intl.NumberFormat(locale, { signDisplay: 'exceptZero' }).format(value);
export const percent = (value) => new Intl.NumberFormat(locale, { style: 'percent' }).format(value / 100);
// Vocals, drums and bass.
export const listed = (names) => new Intl.ListFormat(locale, { type: 'conjunction' }).format(names);
export const compare = () => new Intl.Collator(locale, { numeric: true }).compare;

export function size(bytes) {
  const [unit, by] = bytes < 1e3 ? ['byte', 1] : bytes < 1e6 ? ['kilobyte', 1e3] : bytes < 1e9 ? ['megabyte', 1e6] : ['gigabyte', 1e9];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: by === 1 ? 'long' : 'short', maximumFractionDigits: by < 1e6 ? 0 : 1 }).format(bytes / by);
}

export function date(text) {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(text));
}

// 3:07, or 1:02:07.
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

// A duration in words: 3 minutes, 20 seconds.
export function duration(seconds) {
  const [value, unit] = seconds < 90 ? [Math.max(1, Math.round(seconds)), 'second'] : seconds < 5400 ? [Math.round(seconds / 60), 'minute'] : [Math.round(seconds / 3600), 'hour'];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(value);
}

// A number of hours in words: 1.5 hours.
export const hours = (value) => new Intl.NumberFormat(locale, { style: 'unit', unit: 'hour', unitDisplay: 'long', maximumFractionDigits: 1 }).format(value);

export const currentLanguage = () => language;

// Reads a stored preference; returns null if the browser blocks storage.
export function recall(name) {
  try { return localStorage.getItem(`vocalizer-${name}`); } catch { return null; }
}

// A stored level from 0 to 1; `usual` if none is stored.
export function recallLevel(name, usual) {
  const kept = Number.parseFloat(recall(name) ?? '');
  return kept >= 0 && kept <= 1 ? kept : usual;
}

// Stores a preference. Returns whether the browser keeps it: private windows may refuse, and there may be no room.
export function remember(name, value) {
  try {
    localStorage.setItem(`vocalizer-${name}`, value);
    return true;
  } catch {
    return false;
  }
}
